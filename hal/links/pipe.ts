/** The in-process pipe: two links, each the other's far end. */
import { LinkBase, type LinkEvents } from './link.ts'

/** When what is sent arrives. Time is the machine's, in ticks of 100 ns; what is planned for one time keeps its order. */
export interface PipeTime {
  after(ticks: number, happen: () => void): void
}

/** Bytes arrive in a later turn of the event loop. */
const SOON: PipeTime = { after: (_ticks, happen) => void setImmediate(happen) }

/** 20 µs each way: about what a short line takes over full-speed USB once it is on its way. */
const DELAY_TICKS = 200

class PipeLink extends LinkBase {
  readonly path: string
  readonly #time: PipeTime
  readonly #inbox: { bytes: Uint8Array; sent: () => void }[] = []
  #peer: PipeLink | null = null

  constructor(path: string, time: PipeTime, events: LinkEvents) {
    super(events)
    this.path = path
    this.#time = time
  }

  join(peer: PipeLink): void {
    this.#peer = peer
  }

  protected transmit(bytes: Uint8Array, sent: () => void): void {
    this.#time.after(DELAY_TICKS, () => this.#peer?.arrive({ bytes, sent }))
  }

  arrive(parcel: { bytes: Uint8Array; sent: () => void }): void {
    this.#inbox.push(parcel)
    this.#take()
  }

  /** What is not taken stays unsent at the other end. */
  #take(): void {
    while (!this.isPaused && this.isOpen) {
      const parcel = this.#inbox.shift()
      if (parcel === undefined) return
      this.received(parcel.bytes)
      parcel.sent()
    }
  }

  protected hold(): void {}

  protected unhold(): void {
    this.#time.after(0, () => this.#take())
  }

  protected release(): Promise<void> {
    const peer = this.#peer
    this.#peer = null
    this.#inbox.length = 0
    if (peer !== null) this.#time.after(DELAY_TICKS, () => peer.gone('the device was unplugged'))
    return Promise.resolve()
  }
}

/** Makes a pipe. Closing one end is an unplug at the other. */
export function openPipe(
  host: LinkEvents,
  board: LinkEvents,
  { name = 'pipe', time = SOON }: { name?: string; time?: PipeTime } = {},
): { host: LinkBase; board: LinkBase } {
  const ends = { host: new PipeLink(name, time, host), board: new PipeLink(name, time, board) }
  ends.host.join(ends.board)
  ends.board.join(ends.host)
  return ends
}
