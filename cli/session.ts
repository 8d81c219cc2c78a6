/** A bridge session on a serial port, with no machine: for commands that look at the wire. */
import { randomInt } from 'node:crypto'
import { openSerial, type SerialLink } from '../hal/links/serial.ts'
import { realWorld } from '../hal/realworld.ts'
import { type BridgeEvents, BridgeHost, type Opened } from '../wire/bridge/host.ts'

export interface SessionOptions {
  path: string
  baud: number
  events: BridgeEvents
  /** Bytes either way, as they pass. */
  sent?: (bytes: Uint8Array) => void
  received?: (bytes: Uint8Array) => void
  /** The port is gone. */
  closed: (reason: string | null) => void
}

export interface Session {
  readonly link: SerialLink
  readonly host: BridgeHost
  /** What the board said to hello. */
  readonly opened: Opened
  /** Ticks of 100 ns, from any beginning. */
  now: () => number
  close(): Promise<void>
}

/** Opens the port and says hello, for three seconds. */
export async function openSession({ path, baud, events, sent, received, closed }: SessionOptions): Promise<Session> {
  const { world, stop } = realWorld()
  let take = (_bytes: Uint8Array): void => {}
  const link = await openSerial(
    { path, baudRate: baud },
    {
      data(bytes) {
        received?.(bytes)
        take(bytes)
      },
      closed,
    },
  )
  const write = (bytes: Uint8Array): void => {
    sent?.(bytes)
    link.write(bytes)
  }
  const host = new BridgeHost({ time: world, write, random: () => randomInt(0x1_0000_0000), baud }, events)
  take = (bytes) => host.receive(bytes)
  const opened = await new Promise<Opened>((resolve) => host.open(resolve))
  return {
    link,
    host,
    opened,
    now: () => world.now(),
    async close() {
      host.close()
      stop()
      await link.close()
    },
  }
}

/** Cuts bytes into lines. */
export class Lines {
  #rest = ''
  readonly #told: (line: string) => void

  constructor(told: (line: string) => void) {
    this.#told = told
  }

  take(bytes: Uint8Array): void {
    const lines = (this.#rest + Buffer.from(bytes).toString('latin1')).split('\n')
    this.#rest = (lines.pop() ?? '').slice(-4096)
    for (const line of lines) if (line !== '') this.#told(line)
  }
}
