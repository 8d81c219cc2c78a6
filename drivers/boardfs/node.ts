/** Nodes of the tree: directories and files. */
import {
  atomic,
  containing,
  ExAllocatePool2,
  ExFreePool,
  InitializeListHead,
  InsertTailList,
  LIST_ENTRY,
  LONG,
  type NTSTATUS,
  pointer,
  POOL_FLAG_PAGED,
  PVOID,
  type Pvoid,
  RemoveEntryList,
  RtlEqualUnicodeString,
  STATUS_OBJECT_NAME_INVALID,
  STATUS_OBJECT_NAME_NOT_FOUND,
  STATUS_OBJECT_PATH_NOT_FOUND,
  STATUS_SUCCESS,
  struct,
  ULONG,
  UNICODE_STRING,
  type View,
} from 'dirql/wdm'
import { putText, textOf } from '../lib/text.ts'

/** What a node is, and so what its Value means. */
export const Kind = {
  Directory: 0,
  /** A register of the board: its offset. */
  Register: 1,
  /** A pin of a gpio device: its number. `Target` is the device. */
  Pin: 2,
  /** What a line has counted: the line's number. */
  Count: 3,
  /** `Target` is what it says. */
  Text: 4,
  /** Belongs to the driver of the device `Target`. */
  Device: 5,
} as const

export const NODE = struct('BOARDFS_NODE', {
  // Guarded by the tree lock.
  Siblings: LIST_ENTRY, // in the parent's Children
  Children: LIST_ENTRY,
  IsGone: ULONG, // its board was pulled out

  References: atomic(LONG), // the tree's own, one of each child and one of each open file

  // Set before others can see it.
  Parent: pointer<NODE>(() => NODE),
  Board: PVOID, // BOARD; null for the root. Not to be touched once the node is gone
  Serial: ULONG, // among its siblings, growing: a listing goes on behind the one that it told last
  LastSerial: ULONG, // that a child got; guarded by the tree lock
  Kind: ULONG,
  Window: ULONG, // number of the register window
  Value: ULONG,
  Name: UNICODE_STRING, // these two lie behind the struct
  Target: UNICODE_STRING,
})
export interface NODE extends View<typeof NODE> {}

export interface NodePlan {
  parent: NODE | null
  name: string
  board?: Pvoid
  kind?: number
  window?: number
  value?: number
  target?: string
}

/** Makes a node that the tree does not have yet; null without memory. */
export function createNode({ parent, name, board, kind, window = 0, value = 0, target = '' }: NodePlan): NODE | null {
  const size = NODE.size + 2 * (name.length + target.length)
  const node = NODE.at(ExAllocatePool2(POOL_FLAG_PAGED, size, 'BfNd'))
  if (node === null) return null
  InitializeListHead(node.Children)
  node.References.store(1)
  node.Parent = parent
  node.Board = board ?? parent?.Board ?? null
  node.Kind = kind ?? Kind.Directory
  node.Window = window
  node.Value = value
  place(node.Name, node.address + NODE.size, name)
  place(node.Target, node.address + NODE.size + 2 * name.length, target)
  if (parent !== null) parent.References.add(1)
  return node
}

function place(string: UNICODE_STRING, address: number, text: string): void {
  string.Buffer = address
  string.Length = 2 * text.length
  string.MaximumLength = 2 * text.length
  putText(address, text)
}

/** Lets others find it. Caller holds the tree lock exclusively, unless the parent is not in the tree yet. */
export function link(node: NODE): void {
  const parent = node.Parent as NODE
  parent.LastSerial += 1
  node.Serial = parent.LastSerial
  InsertTailList(parent.Children, node.Siblings)
}

export const childrenOf = (node: NODE): NODE[] => {
  const children: NODE[] = []
  const head = node.Children
  for (let entry = head.Flink as LIST_ENTRY; entry.address !== head.address; entry = entry.Flink as LIST_ENTRY) {
    children.push(containing(NODE, 'Siblings', entry))
  }
  return children
}

/** The node and all below it, those above first. Caller holds the tree lock. */
export function subtreeOf(node: NODE): NODE[] {
  return [node, ...childrenOf(node).flatMap(subtreeOf)]
}

export const childNamed = (node: NODE, name: string): NODE | null =>
  childrenOf(node).find((child) => RtlEqualUnicodeString(child.Name, name, true)) ?? null

export const reference = (node: NODE): void => void node.References.add(1)

/** Drops a reference; with the last one the node goes, and its reference to the parent. */
export function dereference(node: NODE): void {
  let last: NODE | null = node
  while (last !== null && last.References.sub(1) === 1) {
    const parent: NODE | null = last.Parent
    ExFreePool(last)
    last = parent
  }
}

/** Takes a subtree out, so that nobody finds it any more. Caller holds the tree lock exclusively. */
export function takeOut(node: NODE): void {
  RemoveEntryList(node.Siblings)
  for (const one of subtreeOf(node)) one.IsGone = 1
}

/** Drops the tree's references to a subtree that was taken out, or never was in. */
export function dropSubtree(node: NODE): void {
  for (const one of subtreeOf(node).reverse()) {
    // A file that is open may keep it: then it must not lead to its siblings, which may be freed.
    InitializeListHead(one.Children)
    dereference(one)
  }
}

/** `\uno-0\gpio\d13`; the root is `\`. */
export function pathOf(node: NODE): string {
  let path = ''
  for (let one: NODE = node; one.Parent !== null; one = one.Parent) path = `\\${textOf(one.Name)}${path}`
  return path === '' ? '\\' : path
}

/**
 * Finds what a program names, from a directory on. Caller holds the tree lock, and keeps it or takes a reference.
 *
 * @returns STATUS_OBJECT_NAME_NOT_FOUND when only the last component is not there, STATUS_OBJECT_PATH_NOT_FOUND when
 *   one before it is not, or is a file
 */
export function find(from: NODE, path: string): { status: NTSTATUS; node: NODE | null } {
  const components = path.replace(/^\\/, '').replace(/\\$/, '').split('\\')
  let node = from
  if (components.length === 1 && components[0] === '') return { status: STATUS_SUCCESS, node }
  for (const [index, name] of components.entries()) {
    if (name === '') return { status: STATUS_OBJECT_NAME_INVALID, node: null }
    if (node.Kind !== Kind.Directory) return { status: STATUS_OBJECT_PATH_NOT_FOUND, node: null }
    const child = childNamed(node, name)
    const isLast = index === components.length - 1
    if (child === null) {
      return { status: isLast ? STATUS_OBJECT_NAME_NOT_FOUND : STATUS_OBJECT_PATH_NOT_FOUND, node: null }
    }
    node = child
  }
  return { status: STATUS_SUCCESS, node }
}
