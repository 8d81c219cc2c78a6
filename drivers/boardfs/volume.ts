/** The one volume: its tree and who watches it. */
import {
  DEVICE_OBJECT,
  EX_PUSH_LOCK,
  FltAcquirePushLockExclusive,
  FltAcquirePushLockShared,
  FltReleasePushLock,
  FsRtlNotifyFullChangeDirectory,
  FsRtlNotifyFullReportChange,
  globals,
  LIST_ENTRY,
  NOTIFY_SYNC,
  pointer,
} from 'dirql/fltkernel'
import { NODE, pathOf } from './node.ts'

export const volume = globals({
  TreeLock: EX_PUSH_LOCK, // guards the tree, and stays held while a change of a file is reported

  // Set in DriverEntry.
  Control: pointer(DEVICE_OBJECT), // \Device\BoardFs
  Root: pointer(NODE),
  NotifySync: pointer(NOTIFY_SYNC),
  NotifyList: LIST_ENTRY,
})

export const rootOf = (): NODE => volume.Root as NODE
export const syncOf = (): NOTIFY_SYNC => volume.NotifySync as NOTIFY_SYNC

/** Runs `body` while the tree does not change. @irql <= APC_LEVEL */
export async function withTree<T>(body: () => T | Promise<T>): Promise<T> {
  await FltAcquirePushLockShared(volume.TreeLock)
  try {
    return await body()
  } finally {
    FltReleasePushLock(volume.TreeLock)
  }
}

/** Runs `body` while nobody else looks at the tree. @irql <= APC_LEVEL */
export async function withTreeAlone(body: () => void): Promise<void> {
  await FltAcquirePushLockExclusive(volume.TreeLock)
  try {
    body()
  } finally {
    FltReleasePushLock(volume.TreeLock)
  }
}

/** Tells all watchers that it reaches what happened to a node. @irql PASSIVE_LEVEL */
export function report(node: NODE, FilterMatch: number, Action: number): void | Promise<void> {
  const path = pathOf(node)
  return FsRtlNotifyFullReportChange({
    NotifySync: syncOf(),
    NotifyList: volume.NotifyList,
    FullTargetName: path,
    TargetNameOffset: 2 * (path.lastIndexOf('\\') + 1),
    FilterMatch,
    Action,
  })
}

/** Ends the requests of all who watch a directory, with STATUS_DELETE_PENDING. @irql PASSIVE_LEVEL */
export function endWatches(directory: NODE): void | Promise<void> {
  return FsRtlNotifyFullChangeDirectory({
    NotifySync: syncOf(),
    NotifyList: volume.NotifyList,
    FsContext: directory,
    FullDirectoryName: null,
    WatchTree: false,
    IgnoreBuffer: false,
    CompletionFilter: 0,
    NotifyIrp: null,
  })
}
