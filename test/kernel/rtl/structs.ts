/** Structs that the tests of the struct language share. */

import {
  array,
  atomic,
  BOOLEAN,
  CHAR,
  DOUBLE,
  HANDLE,
  LONG,
  LONGLONG,
  NTSTATUS,
  pointer,
  PVOID,
  type Pvoid,
  routine,
  SHORT,
  struct,
  UCHAR,
  ULONG,
  ULONGLONG,
  union,
  USHORT,
  type View,
  routines,
} from '../../../kernel/rtl/struct.ts'

export const POINT = struct('POINT', { x: ULONG, y: LONG })
export type POINT = InstanceType<typeof POINT>

export const NODE = struct('NODE', { value: ULONG, next: pointer<NODE>(() => NODE) })
export interface NODE extends View<typeof NODE> {}

export type Callback = (point: POINT, context: Pvoid) => void

export const fieldsOfAll = {
  byte: UCHAR,
  char: CHAR,
  flag: BOOLEAN,
  short: SHORT,
  ushort: USHORT,
  long: LONG,
  ulong: ULONG,
  handle: HANDLE,
  status: NTSTATUS,
  longlong: LONGLONG,
  ulonglong: ULONGLONG,
  time: DOUBLE,
  numbers: array(ULONG, 16),
  bigs: array(LONGLONG, 2),
  point: POINT,
  points: array(POINT, 4),
  to: pointer(POINT),
  later: pointer(() => POINT),
  pointers: array(pointer(POINT), 2),
  state: atomic(ULONG),
  big: atomic(ULONGLONG),
  context: PVOID,
  callback: routine<Callback>(),
  u: union('ALL_U', { A: ULONG, B: pointer(POINT), C: array(UCHAR, 4) }),
}
export const ALL = struct('ALL', fieldsOfAll)
export type ALL = InstanceType<typeof ALL>

/** Numbers routines by the order in which they are first stored; returns the way back. */
export function numberRoutines(): { functions: Function[]; restore(): void } {
  const functions: Function[] = []
  const { idOf, functionOf } = routines
  routines.idOf = (fn) => (functions.includes(fn) ? functions.indexOf(fn) : functions.push(fn) - 1) + 1
  routines.functionOf = (id) => {
    const fn = functions[id - 1]
    if (fn === undefined) throw new Error(`no routine ${id}`)
    return fn
  }
  return { functions, restore: () => void Object.assign(routines, { idOf, functionOf }) }
}
