/** What a device class is made of: registers, interrupt lines, and how a board's device gets them. */

/** Who writes a register, and what its value means (docs/hardware/README.md). */
export type RegisterKind = 'control' | 'status' | 'count' | 'command' | 'fifo' | 'level'

export interface RegisterSpec {
  /** As in the datasheet. */
  readonly name: string
  /** Bytes from the window's begin; a multiple of four. */
  readonly offset: number
  readonly kind: RegisterKind
  /** What it holds after plug; 0 when left out. */
  readonly reset?: number
  /** A fifo's entries are bytes (1) or words (4). */
  readonly width?: 1 | 4
  /** Entries that the host's side of a fifo holds: a power of two. 0 for one that the host only writes. */
  readonly room?: number
  /** Offset of the fifo whose entries a level register tells. */
  readonly of?: number
}

export interface LineSpec {
  readonly name: string
  /** DIRQL, 3 to 11. */
  readonly dirql: number
  readonly mode: 'latched' | 'level'
  readonly shared: boolean
  /** A passive-level interrupt: its ISR runs at PASSIVE_LEVEL. */
  readonly passive?: boolean
  /** Names of the status and count registers that its frames carry. */
  readonly snapshot: readonly string[]
  /** The gpio pin that the line watches, where it watches one. */
  readonly pin?: number
  /** A pin's asserted level; of a latched one the edge that counts: to low, to high, or both. */
  readonly active?: 'low' | 'high' | 'both'
}

export interface DeviceClass {
  readonly name: string
  /** Told in a board's hello: a board of another version is refused. */
  readonly version: number
  readonly registers: readonly RegisterSpec[]
  readonly lines: readonly LineSpec[]
}

/** One device of a board, as machine, wire and firmware number its registers and lines. */
export interface DeviceLayout {
  readonly name: string
  /** `raw` for a device whose registers and lines the board file itself tells. */
  readonly class: string
  readonly version: number
  readonly registers: readonly RegisterSpec[]
  readonly lines: readonly LineSpec[]
}

type Offsets<T extends readonly RegisterSpec[]> = { readonly [R in T[number] as R['name']]: R['offset'] }

/** The offsets of a map by register name: what drivers add to the address of the window. */
export function offsetsOf<const T extends readonly RegisterSpec[]>(registers: T): Offsets<T> {
  return Object.fromEntries(registers.map(({ name, offset }) => [name, offset])) as Offsets<T>
}

/** How much a wrapping 32-bit count has grown from `before` to `now`. */
export const grown = (before: number, now: number): number => (now - before) >>> 0
