/** The messages of the bridge protocol (docs/wire.md, 4). Offsets are in bytes here, in registers on the wire. */

export const BRIDGE_VERSION = 1

/** Longest lines, with their newlines. */
export const HOST_LINE = 48
export const BOARD_LINE = 72

/** Most bytes of one `D` or `d`: lines stay short. */
export const MOST_FIFO_BYTES = 16
export const MOST_FIFO_WORDS = 4
export const MOST_IDENTITY = 512
export const IDENTITY_PIECE = 16

export type HostMessage =
  | { kind: 'H'; version: number; nonce: number }
  | { kind: 'W'; device: number; offset: number; value: number }
  | { kind: 'D'; device: number; offset: number; bytes: readonly number[] }
  | { kind: 'R'; device: number; offset: number }
  | { kind: 'E'; line: number; frame: number }
  | { kind: 'L'; line: number }
  | { kind: 'M'; line: number }
  | { kind: 'C'; device: number; offset: number; count: number }
  | { kind: 'A' }

/** A register of a snapshot: its value, or how much more it is than what was told last. */
export interface Told {
  offset: number
  value: number
  isMore: boolean
}

export type BoardMessage =
  | { kind: 'b'; version: number; bootCount: number }
  | { kind: 'h'; version: number; bootCount: number }
  | { kind: 't'; text: string }
  | { kind: 'i'; line: number; frame: number; time: number; edges: number; snapshot: readonly Told[] }
  | { kind: 's'; line: number; snapshot: readonly Told[] }
  | { kind: 'd'; device: number; offset: number; bytes: readonly number[] }
  | { kind: 'w'; device: number; offset: number; values: readonly number[] }
  | { kind: 'r'; value: number }
  | { kind: 'e'; code: number; text: string }
  | { kind: 'l'; text: string }
  | { kind: 'a' }

export type Message = HostMessage | BoardMessage
export type Kind = Message['kind']

/** Codes of `e`. */
export const BridgeError = {
  NoSuchThing: 1,
  FifoFull: 2,
  FifoOverrun: 3,
  Malformed: 4,
  UnknownKind: 5,
  NoRoom: 6,
  BusFault: 7,
} as const

/** What each code says, for reports. */
export const BRIDGE_ERROR_TEXT: Readonly<Record<number, string>> = {
  1: 'there is no such device, register or line',
  2: 'a FIFO of the board was full: an entry is lost',
  3: 'a FIFO of the hardware ran over: entries are lost',
  4: 'a line is not built as the protocol says',
  5: 'a line has a kind that the board does not know',
  6: 'the board has run out of memory or time',
  7: 'a bus or chip of the board does not work',
}
