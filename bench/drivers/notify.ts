/** What the notify benchmarks have a machine run: a list with so many watchers, and reports that reach one of them each. */
import {
  type DEVICE_OBJECT,
  ExAllocatePool2,
  ExFreePool,
  FILE_ACTION_MODIFIED,
  FILE_NOTIFY_CHANGE_LAST_WRITE,
  FILE_OBJECT,
  FsRtlNotifyCleanupAll,
  FsRtlNotifyFullChangeDirectory,
  FsRtlNotifyFullReportChange,
  FsRtlNotifyInitializeSync,
  FsRtlNotifyUninitializeSync,
  InitializeListHead,
  IoAllocateIrp,
  IoFreeIrp,
  IoGetNextIrpStackLocation,
  IoReuseIrp,
  IoSetCompletionRoutine,
  IoSetNextIrpStackLocation,
  type IRP,
  IRP_MJ_DIRECTORY_CONTROL,
  IRP_MN_NOTIFY_CHANGE_DIRECTORY,
  LIST_ENTRY,
  type NOTIFY_SYNC,
  type NTSTATUS,
  out,
  POOL_FLAG_NON_PAGED,
  STATUS_MORE_PROCESSING_REQUIRED,
  STATUS_SUCCESS,
} from '../../ddi/ntifs.ts'
import { type Figure } from './locks.ts'
import { timed } from '../benchmark.ts'

const ROOM = 64 // bytes of a request's buffer
const BATCH = 1000 // reports between two looks at the clock

interface Watcher {
  directory: string
  /** The file in it that changes. */
  target: string
  file: FILE_OBJECT
  irp: IRP
  buffer: number
}

interface Volume {
  sync: NOTIFY_SYNC
  list: LIST_ENTRY
  watchers: Watcher[]
}

const volumes: Volume[] = []
/** Requests that ended with the one change that they should. */
const told = { count: 0 }

export function completed(_device: DEVICE_OBJECT | null, irp: IRP): NTSTATUS {
  if (irp.IoStatus.Status === STATUS_SUCCESS) told.count += 1
  return STATUS_MORE_PROCESSING_REQUIRED
}

/** Makes a volume with `count` directories, each of which somebody watches; gives back its number. */
export async function create(count: number): Promise<number> {
  const box = out<NOTIFY_SYNC | null>()
  FsRtlNotifyInitializeSync(box)
  const list = new LIST_ENTRY(ExAllocatePool2(POOL_FLAG_NON_PAGED, LIST_ENTRY.size, 'Benc'))
  InitializeListHead(list)
  const volume: Volume = { sync: box.value as NOTIFY_SYNC, list, watchers: [] }
  for (let number = 0; number < count; number++) {
    const watcher = newWatcher(`\\${number % 100}\\${Math.floor(number / 100)}`)
    volume.watchers.push(watcher)
    await ask(volume, watcher)
  }
  return volumes.push(volume) - 1
}

function newWatcher(directory: string): Watcher {
  const file = new FILE_OBJECT(ExAllocatePool2(POOL_FLAG_NON_PAGED, FILE_OBJECT.size, 'Benc'))
  file.FsContext = file
  const buffer = ExAllocatePool2(POOL_FLAG_NON_PAGED, ROOM, 'Benc')
  return { directory, target: `${directory}\\changed`, file, irp: IoAllocateIrp(1, false) as IRP, buffer }
}

/** Sends the watcher's request, as the file system gets it. */
function ask({ sync, list }: Volume, { directory, file, irp, buffer }: Watcher): void | Promise<void> {
  IoReuseIrp(irp, STATUS_SUCCESS)
  irp.AssociatedIrp.SystemBuffer = buffer
  const stack = IoGetNextIrpStackLocation(irp)
  stack.MajorFunction = IRP_MJ_DIRECTORY_CONTROL
  stack.MinorFunction = IRP_MN_NOTIFY_CHANGE_DIRECTORY
  stack.FileObject = file
  stack.Parameters.NotifyDirectory.Length = ROOM
  IoSetCompletionRoutine({
    Irp: irp,
    CompletionRoutine: completed,
    Context: null,
    InvokeOnSuccess: true,
    InvokeOnError: true,
    InvokeOnCancel: true,
  })
  IoSetNextIrpStackLocation(irp)
  return FsRtlNotifyFullChangeDirectory({
    NotifySync: sync,
    NotifyList: list,
    FsContext: file,
    FullDirectoryName: directory,
    WatchTree: false,
    IgnoreBuffer: false,
    CompletionFilter: FILE_NOTIFY_CHANGE_LAST_WRITE,
    NotifyIrp: irp,
  })
}

/** Reports changes all over the volume, each to one watcher, whose request it completes. The asking anew is not timed. */
export async function report({ volume: number, rounds }: { volume: number; rounds: number }): Promise<Figure> {
  const volume = volumes[number] as Volume
  const { watchers } = volume
  const batch = Math.min(BATCH, watchers.length)
  told.count = 0
  let ns = 0
  let next = 0
  for (let round = 0; round < rounds; round += batch) {
    const chosen = Array.from({ length: batch }, (_, index) => watchers[far(next + index, watchers.length)] as Watcher)
    next += batch
    ns += batch * timed(batch, () => reportEach(volume, chosen))
    for (const watcher of chosen) await ask(volume, watcher)
  }
  return { ns: ns / rounds, count: told.count }
}

/** Neighbours in time are none in memory; each is chosen once before any is chosen twice. */
const far = (index: number, count: number): number => (index * 7919) % count

function reportEach({ sync, list }: Volume, watchers: readonly Watcher[]): void {
  for (const { directory, target } of watchers) {
    void FsRtlNotifyFullReportChange({
      NotifySync: sync,
      NotifyList: list,
      FullTargetName: target,
      TargetNameOffset: 2 * (directory.length + 1),
      FilterMatch: FILE_NOTIFY_CHANGE_LAST_WRITE,
      Action: FILE_ACTION_MODIFIED,
    })
  }
}

/** Frees all volumes. */
export async function close(): Promise<void> {
  for (const { sync, list, watchers } of volumes.splice(0)) {
    await FsRtlNotifyCleanupAll(sync, list)
    FsRtlNotifyUninitializeSync({ value: sync })
    for (const { file, irp, buffer } of watchers) {
      IoFreeIrp(irp)
      ExFreePool(file)
      ExFreePool(buffer)
    }
    ExFreePool(list)
  }
}
