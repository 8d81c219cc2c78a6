/** The numbers a struct is made of, under their Windows names. Natural alignment. */

import type { Scalar, ViewName } from './types.ts'

/** Bytes of one element of each view. */
export const WIDTH: { readonly [W in ViewName]: 1 | 2 | 4 | 8 } = {
  i8: 1,
  u8: 1,
  i16: 2,
  u16: 2,
  i32: 4,
  u32: 4,
  i64: 8,
  u64: 8,
  f64: 8,
}

/** The element of view `W` that byte address `a` lies in has index `a >> SHIFT[W]`. */
export const SHIFT: { readonly [W in ViewName]: 0 | 1 | 2 | 3 } = {
  i8: 0,
  u8: 0,
  i16: 1,
  u16: 1,
  i32: 2,
  u32: 2,
  i64: 3,
  u64: 3,
  f64: 3,
}

function scalar<V, W extends ViewName>(layout: string, view: W): Scalar<W, V> {
  return { kind: 'scalar', layout, view, size: WIDTH[view], align: WIDTH[view] } as Scalar<W, V>
}

export const CHAR = scalar<number, 'i8'>('CHAR', 'i8')
export const INT8 = CHAR
export const UCHAR = scalar<number, 'u8'>('UCHAR', 'u8')
export const UINT8 = UCHAR
/** Reads as the byte, since a routine may return 2 for TRUE; a boolean may be stored. */
export const BOOLEAN = scalar<BOOLEAN, 'u8'>('BOOLEAN', 'u8')
export const SHORT = scalar<number, 'i16'>('SHORT', 'i16')
export const USHORT = scalar<number, 'u16'>('USHORT', 'u16')
export const WCHAR = USHORT
export const LONG = scalar<number, 'i32'>('LONG', 'i32')
export const NTSTATUS = LONG
export const ULONG = scalar<number, 'u32'>('ULONG', 'u32')
export const HANDLE = ULONG
export const LONGLONG = scalar<bigint, 'i64'>('LONGLONG', 'i64')
export const ULONGLONG = scalar<bigint, 'u64'>('ULONGLONG', 'u64')
/** A time in units of 100 ns where a bigint would cost too much: exact up to 28 years. */
export const DOUBLE = scalar<number, 'f64'>('DOUBLE', 'f64')

// TypeScript has no mapped accessors whose two types differ: the type of what may be stored is that of what is read.
export type BOOLEAN = boolean | number
export type CHAR = number
export type INT8 = number
export type UCHAR = number
export type UINT8 = number
export type SHORT = number
export type USHORT = number
export type WCHAR = number
export type LONG = number
export type NTSTATUS = number
export type ULONG = number
export type HANDLE = number
export type LONGLONG = bigint
export type ULONGLONG = bigint
export type DOUBLE = number
