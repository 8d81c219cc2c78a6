/** CRC-32 as in zlib, kept as a state so that a prefix is computed once (docs/wire.md, 3). */

const POLYNOMIAL = 0xedb88320
const TABLE = Int32Array.from({ length: 256 }, (_, byte) => {
  let state = byte
  for (let bit = 0; bit < 8; bit++) state = state & 1 ? (state >>> 1) ^ POLYNOMIAL : state >>> 1
  return state
})

/** The state before the first byte. */
export const CRC_START = -1

/** The state behind `bytes[from … to - 1]`. */
export function crcOver(state: number, bytes: Uint8Array, from: number, to: number): number {
  let crc = state
  for (let index = from; index < to; index++) crc = (crc >>> 8) ^ TABLE[(crc ^ bytes[index]!) & 0xff]!
  return crc
}

/** The state behind one byte. */
export const crcOverByte = (state: number, byte: number): number => (state >>> 8) ^ TABLE[(state ^ byte) & 0xff]!

/** The state behind a number of 32 bits, lowest byte first. */
export function crcOverWord(state: number, word: number): number {
  let crc = state
  for (let shift = 0; shift < 32; shift += 8) crc = crcOverByte(crc, (word >>> shift) & 0xff)
  return crc
}

/** The checksum of what led to `state`, as an unsigned number. */
export const crcOf = (state: number): number => ~state >>> 0
