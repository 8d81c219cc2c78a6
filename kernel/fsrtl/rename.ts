/**
 * Watched directories that are renamed. The driver's counted string, to which the structure points, says what the
 * directory is called; the tree of directories was built from what it said before.
 *
 * A driver that renames a directory, or moves it, reports its old name as gone and its new one as there. The first
 * makes suspects of all watchers below the old name, the second has their strings looked at again. So a rename costs
 * by the watchers that it may move, and any other report nothing (decision 0105).
 *
 * Caller holds the notify lock.
 */
import { read32 } from '../mm/access.ts'
import { insertTail, isEmpty, removeEntry } from '../rtl/list.ts'
import {
  FILE_ACTION_ADDED,
  FILE_ACTION_REMOVED,
  FILE_ACTION_RENAMED_NEW_NAME,
  FILE_ACTION_RENAMED_OLD_NAME,
  FILE_NOTIFY_CHANGE_DIR_NAME,
} from './codes.ts'
import { addSubtree, findPath, placeChange } from './directory.ts'
import { clearFlag, hasFlag, setFlag } from './flags.ts'
import { Change, Index, IS_SUSPECT } from './layouts.ts'
import { type Name, nameAt } from './name.ts'

/** Looks what the directory is called now. Without memory it stays where it was. */
export function followName(change: number): void {
  const address = read32(change + Change.FullDirectoryName)
  if (address === 0) return
  const name = nameAt(address)
  const before = read32(change + Change.Directory)
  if (name.length !== 0 && placeChange(change, name) && read32(change + Change.Directory) !== before) acquit(change)
}

/** Takes account of a report that may tell of a directory's rename, before its watchers are looked for. */
export function followReport(index: number, target: Name, filterMatch: number, action: number): void {
  if ((filterMatch & FILE_NOTIFY_CHANGE_DIR_NAME) === 0) return
  if (action === FILE_ACTION_REMOVED || action === FILE_ACTION_RENAMED_OLD_NAME) suspectBelow(index, target)
  if (action === FILE_ACTION_ADDED || action === FILE_ACTION_RENAMED_NEW_NAME) followSuspects(index)
}

function suspectBelow(index: number, target: Name): void {
  const watchers: number[] = []
  for (const size of [1, 2]) {
    const directory = findPath(index, target, size)
    if (directory !== 0) addSubtree(directory, watchers)
  }
  for (const change of watchers) {
    if (read32(change + Change.FullDirectoryName) === 0 || hasFlag(change, IS_SUSPECT)) continue
    setFlag(change, IS_SUSPECT)
    insertTail(index + Index.Suspects, change + Change.SuspectEntry)
  }
}

function followSuspects(index: number): void {
  const head = index + Index.Suspects
  if (isEmpty(head)) return
  for (let entry = read32(head), next = 0; entry !== head; entry = next) {
    next = read32(entry)
    followName(entry - Change.SuspectEntry)
  }
}

/** It is no suspect any more. */
export function acquit(change: number): void {
  if (!hasFlag(change, IS_SUSPECT)) return
  clearFlag(change, IS_SUSPECT)
  removeEntry(change + Change.SuspectEntry)
}
