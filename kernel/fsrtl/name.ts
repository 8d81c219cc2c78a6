/**
 * Names as the notify package sees them: bytes, of characters of one byte (OEM) or two (UTF-16). What a watcher's own
 * name looks like decides how the names of reports are read for it (wdm-facts §1.5, §1.6).
 */
import { mem } from '../mm/memory.ts'
import { type STRING, UNICODE_STRING } from '../rtl/string.ts'

/** A name that is only read. Of a counted string, what its bytes are is not looked at: `PSTRING` is the type of both. */
export type AnyName = UNICODE_STRING | STRING | string

/** Bytes of a name, or of a part of one. */
export interface Name {
  bytes: Uint8Array
  start: number
  length: number
}

const { Length, Buffer } = UNICODE_STRING.offsets
const SEPARATOR = 0x5c

export const NO_NAME: Name = { bytes: new Uint8Array(0), start: 0, length: 0 }

/** The bytes of what a driver gave. */
export function nameOf(text: AnyName | null | undefined): Name {
  if (text === null || text === undefined) return NO_NAME
  return typeof text === 'string' ? encoded(text) : nameAt(text.address)
}

/** The bytes of the counted string at `address`, as it is now. */
export function nameAt(address: number): Name {
  const { u8, u16, u32 } = mem
  return { bytes: u8, start: u32[(address + Buffer) >> 2] ?? 0, length: u16[(address + Length) >> 1] ?? 0 }
}

function encoded(text: string): Name {
  const bytes = new Uint8Array(2 * text.length)
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    bytes[2 * i] = unit
    bytes[2 * i + 1] = unit >>> 8
  }
  return { bytes, start: 0, length: bytes.length }
}

/** Bytes a character, by the look of the name of a directory: its second byte is 0 when it begins with `\` in UTF-16. */
export function characterSize({ bytes, start, length }: Name): 1 | 2 {
  return length < 2 || bytes[start + 1] !== 0 ? 1 : 2
}

/** [from, to) of a name. */
export const part = ({ bytes, start }: Name, from: number, to: number): Name => ({
  bytes,
  start: start + from,
  length: Math.max(0, to - from),
})

/** Offset of the first separator at or behind `from`; the name's length if there is none. */
export function separatorFrom({ bytes, start, length }: Name, from: number, size: number): number {
  for (let at = from; at + size <= length; at += size) {
    if (bytes[start + at] === SEPARATOR && (size === 1 || bytes[start + at + 1] === 0)) return at
  }
  return length
}

/** A hash of [from, to) of a name, begun with `seed`: FNV-1a. */
export function hashOf({ bytes, start }: Name, from: number, to: number, seed: number): number {
  let hash = seed ^ 0x811c9dc5
  for (let at = start + from; at < start + to; at++) hash = Math.imul(hash ^ (bytes[at] as number), 0x01000193)
  return hash
}

/** Whether the `length` bytes at `address` are those of a name from `from` on. */
export function isAt(address: number, length: number, { bytes, start }: Name, from: number): boolean {
  const { u8 } = mem
  for (let i = 0; i < length; i++) if (u8[address + i] !== bytes[start + from + i]) return false
  return true
}
