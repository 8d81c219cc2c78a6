/**
 * Object types. What is data lies in each object; the routines lie here, once a thread, since functions cannot
 * be shared. A type has the same number on every processor because the names have one order.
 */
import type { NTSTATUS } from '../rtl/status.ts'
import type { AnyView } from '../rtl/struct.ts'
import type { GenericMapping } from './access.ts'

/** Every type there is, in the order of their numbers; 0 is none. */
const TYPE_NAMES = [
  '',
  'Type',
  'Directory',
  'SymbolicLink',
  'Process',
  'Thread',
  'Event',
  'Mutant',
  'Semaphore',
  'Timer',
  'Callback',
  'Section',
  'Key',
  'Controller',
  'Device',
  'Driver',
  'File',
  'IoCompletion',
  'FilterPort',
] as const
export type ObjectTypeName = Exclude<(typeof TYPE_NAMES)[number], ''>

export const typeNames: readonly string[] = TYPE_NAMES

/** Why an object is opened. */
export type OpenReason = 'create' | 'open' | 'duplicate'

/** What a type's parse procedure is given besides the object and the rest of the path. */
export interface ParseRequest {
  /** The type that the caller wants; null: any. */
  readonly type: ObjectType | null
  readonly access: number
  readonly mode: number
  readonly attributes: number
  /** What the caller of `openObjectByName` passed on: io's open packet. */
  readonly context: unknown
}

/** A parse procedure's result. On success the object carries a reference for the caller. */
export interface ParseResult {
  readonly status: NTSTATUS
  readonly object: number
}

export interface ObjectTypeDefinition {
  readonly name: ObjectTypeName
  /** The struct of the body: what `Out<…>` boxes of Ob routines receive a view of. */
  readonly view: new (
    address: number,
  ) => AnyView
  /** Tag of the pool blocks. */
  readonly tag: string
  readonly mapping: GenericMapping
  /** The rights that user mode gets of an object that the kernel made without a security descriptor. */
  readonly userAccess: number
  /** The dispatcher header that a wait on a handle waits for; absent: such a wait is a type mismatch. */
  readonly waitObject?: (object: number) => number
  /** Called for each handle that is made. A failure status refuses it. */
  readonly open?: (object: number, reason: OpenReason, process: number, access: number) => NTSTATUS
  /** Called when a handle was closed; `handlesLeft` counts those of all processes. PASSIVE_LEVEL, may wait. */
  readonly close?: (object: number, process: number, access: number, handlesLeft: number) => void | Promise<void>
  /** Called when the last reference is gone, before the memory is freed. PASSIVE_LEVEL. */
  readonly delete?: (object: number) => void | Promise<void>
  /** `delete` may wait, or must not run on the thread that drops the last reference: it runs on the reaper thread. */
  readonly deletesLater?: boolean
  /** Takes over when a path reaches an object of this type, with what is left of the path. */
  readonly parse?: (object: number, rest: string, request: ParseRequest) => ParseResult | Promise<ParseResult>
  /** The full name where the directories do not know it (files). */
  readonly queryName?: (object: number) => string
}

/** A type as `POBJECT_TYPE` names it: compare with `===`, or by Index. */
export interface ObjectType extends ObjectTypeDefinition {
  readonly Index: number
}

const types: (ObjectType | undefined)[] = []

/** Makes a type known on this thread. Called while modules load. */
export function registerObjectType(definition: ObjectTypeDefinition): ObjectType {
  const Index = TYPE_NAMES.indexOf(definition.name)
  const type = Object.freeze({ ...definition, Index })
  types[Index] = type
  return type
}

/** The type with this number. */
export function objectType(index: number): ObjectType {
  const type = types[index]
  if (type === undefined)
    throw new Error(`no module that was loaded registers object type ${TYPE_NAMES[index] ?? index}`)
  return type
}
