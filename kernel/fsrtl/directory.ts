/**
 * The tree of watched directories, which finds the watchers that a change reaches in one look-up for each component
 * of its path, however many others there are.
 *
 * A name is taken apart at its separators, so `\a\b` has the components '', 'a' and 'b'. To be a prefix that ends
 * before a separator, which is what makes a watched name an ancestor, and to be a prefix component by component are
 * the same. Names of one character are apart: they are roots, which need no separator behind them. So are names of
 * characters of one byte, and watchers without a name, which are found by their subject context (decision 0105).
 *
 * Caller holds the notify lock.
 */
import { mem } from '../mm/memory.ts'
import { read32, readU32, write32 } from '../mm/access.ts'
import { allocate, CACHE_ALIGNED, free } from '../mm/pool.ts'
import { initializeList, insertTail, isEmpty, removeEntry } from '../rtl/list.ts'
import { Change, Directory, Index, NOTIFY_DIRECTORY, WATCH_TREE } from './layouts.ts'
import { hashOf, isAt, type Name, separatorFrom } from './name.ts'
import { firstLink, hashOfWord, insertLink, nextLink, removeLink } from './table.ts'
import { hasFlag } from './flags.ts'

/** In place of a parent. No address is that low. */
const TOP = [0, 1, 2] // by character size
const ROOT = [0, 3, 4]
const NAMELESS = 5
const HIGHEST_TOP = NAMELESS

const TEXT = NOTIFY_DIRECTORY.size
const TAG = 'FsND'

const seedOf = (parent: number): number => hashOfWord(parent)

/** The directory whose name below `parent` is [from, to) of a name; 0 if nobody watches it or anything below it. */
function find(index: number, parent: number, name: Name, from: number, to: number): number {
  const length = to - from
  let link = firstLink(index + Index.Directories, hashOf(name, from, to, seedOf(parent)))
  while (link !== 0) {
    const directory = link - Directory.Link
    const isIt = read32(directory + Directory.Parent) === parent && read32(directory + Directory.Length) === length
    if (isIt && isAt(directory + TEXT, length, name, from)) return directory
    link = nextLink(link)
  }
  return 0
}

function findOrMake(index: number, parent: number, name: Name, from: number, to: number): number {
  return find(index, parent, name, from, to) || make(index, parent, name, from, to)
}

function make(index: number, parent: number, name: Name, from: number, to: number): number {
  const directory = allocate(TEXT + to - from, TAG, CACHE_ALIGNED)
  if (directory === 0) return 0
  write32(directory + Directory.Parent, parent)
  write32(directory + Directory.Length, to - from)
  initializeList(directory + Directory.Children)
  initializeList(directory + Directory.TreeWatchers)
  initializeList(directory + Directory.OwnWatchers)
  mem.u8.set(name.bytes.subarray(name.start + from, name.start + to), directory + TEXT)
  if (parent > HIGHEST_TOP) insertTail(parent + Directory.Children, directory + Directory.Siblings)
  insertLink(index + Index.Directories, directory + Directory.Link, hashOf(name, from, to, seedOf(parent)))
  return directory
}

/** Forgets a directory that nobody watches and that has none below it, and its parents as far as that is true of them. */
function prune(index: number, from: number): void {
  let directory = from
  while (directory > HIGHEST_TOP && isUnused(directory)) {
    const parent = readU32(directory + Directory.Parent)
    removeLink(index + Index.Directories, directory + Directory.Link)
    if (parent > HIGHEST_TOP) removeEntry(directory + Directory.Siblings)
    free(directory, TAG)
    directory = parent
  }
}

const isUnused = (directory: number): boolean =>
  isEmpty(directory + Directory.TreeWatchers) &&
  isEmpty(directory + Directory.OwnWatchers) &&
  isEmpty(directory + Directory.Children)

/** The directory of that name, made with all above it; 0 when there is no memory. */
function findOrMakePath(index: number, name: Name, size: number): number {
  if (name.length === size) return findOrMake(index, ROOT[size] as number, name, 0, size)
  let parent = TOP[size] as number
  for (let from = 0; ; ) {
    const to = separatorFrom(name, from, size)
    const directory = findOrMake(index, parent, name, from, to)
    if (directory === 0) prune(index, parent)
    if (directory === 0 || to === name.length) return directory
    parent = directory
    from = to + size
  }
}

/** The directory of that name; 0 if nobody watches it or anything below it. */
export function findPath(index: number, name: Name, size: number): number {
  let found = 0
  walk(index, name, size, (directory, length) => {
    if (length === name.length) found = directory
  })
  return found
}

/** Calls `visit` with each directory on the path that has watchers, or has them below it; and how long its name is. */
function walk(index: number, path: Name, size: number, visit: (directory: number, length: number) => void): void {
  let parent = TOP[size] as number
  for (let from = 0; ; ) {
    const to = separatorFrom(path, from, size)
    parent = find(index, parent, path, from, to)
    if (parent === 0) return
    visit(parent, to)
    if (to === path.length) return
    from = to + size
  }
}

/** Four bytes that stand for a watcher without a name. */
function keyOf(subject: number): Name {
  return { bytes: new Uint8Array(new Uint32Array([subject]).buffer), start: 0, length: 4 }
}

/** Has a watcher found under `name`, in place of the one before; false when there is no memory. */
export function placeChange(change: number, name: Name): boolean {
  const index = read32(change + Change.Index)
  const before = read32(change + Change.Directory)
  const directory =
    name.length === 0
      ? findOrMake(index, NAMELESS, keyOf(readU32(change + Change.SubjectContext)), 0, 4)
      : findOrMakePath(index, name, mem.u16[(change + Change.CharacterSize) >> 1] as number)
  if (directory === 0) return false
  write32(change + Change.NameLength, name.length)
  if (directory === before) return true
  if (before !== 0) removeEntry(change + Change.DirectoryEntry)
  const list = hasFlag(change, WATCH_TREE) ? Directory.TreeWatchers : Directory.OwnWatchers
  insertTail(directory + list, change + Change.DirectoryEntry)
  write32(change + Change.Directory, directory)
  if (before !== 0) prune(index, before)
  return true
}

/** Has it found no more. */
export function displaceChange(change: number): void {
  const directory = read32(change + Change.Directory)
  if (directory === 0) return
  removeEntry(change + Change.DirectoryEntry)
  write32(change + Change.Directory, 0)
  prune(read32(change + Change.Index), directory)
}

function addMembers(head: number, to: number[]): void {
  for (let entry = read32(head); entry !== head; entry = read32(entry)) to.push(entry - Change.DirectoryEntry)
}

/** Adds the watchers of characters of `size` bytes that a change in the directory `parent` may reach. */
export function addWatchers(index: number, parent: Name, size: number, to: number[]): void {
  if (parent.length < size) return
  const root = find(index, ROOT[size] as number, parent, 0, size)
  if (root !== 0) addMembers(root + Directory.TreeWatchers, to)
  if (root !== 0 && parent.length === size) addMembers(root + Directory.OwnWatchers, to)
  walk(index, parent, size, (directory, length) => {
    addMembers(directory + Directory.TreeWatchers, to)
    if (length === parent.length) addMembers(directory + Directory.OwnWatchers, to)
  })
}

/** Adds the watchers without a name whose subject context is `subject`. */
export function addNameless(index: number, subject: number, to: number[]): void {
  const directory = find(index, NAMELESS, keyOf(subject), 0, 4)
  if (directory === 0) return
  addMembers(directory + Directory.TreeWatchers, to)
  addMembers(directory + Directory.OwnWatchers, to)
}

/** Adds all watchers of a directory and of those below it. */
export function addSubtree(directory: number, to: number[]): void {
  const rest = [directory]
  for (let at = rest.pop(); at !== undefined; at = rest.pop()) {
    addMembers(at + Directory.TreeWatchers, to)
    addMembers(at + Directory.OwnWatchers, to)
    const head = at + Directory.Children
    for (let entry = read32(head); entry !== head; entry = read32(entry)) rest.push(entry - Directory.Siblings)
  }
}
