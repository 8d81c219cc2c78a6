/** A board that knows nothing of dirql, on a link: the host plays its one device (wire/softdevice.ts). */
import type { SoftDevice } from '../wire/softdevice.ts'
import type { BoardEnd, BoardEvents } from './boardhost.ts'
import type { LinkBase, LinkEvents } from './links/link.ts'

/** The host's end of such a board. */
export interface SoftBoard extends BoardEnd {
  /** Begins a session: from now on the board is listened to. */
  connect(events: BoardEvents): void
  close(): Promise<void>
}

/** A device that bytes or reports come to. */
export interface Receiver extends SoftDevice {
  receive(bytes: Uint8Array): void
  /** `unsent` bytes are left of what was sent. */
  sent?(unsent: number): void
}

/**
 * Joins a device to the link that `open` opens. The link is there before the device, so what it tells first waits; and
 * so does the reason why it ended, if it ended before anybody listened.
 */
export async function openSoftBoard<L extends LinkBase>(
  open: (events: LinkEvents) => Promise<L>,
  deviceOn: (link: L) => Receiver,
): Promise<SoftBoard> {
  let device: Receiver | null = null
  let events: BoardEvents | null = null
  let reason: string | null = null
  const early: Uint8Array[] = []
  const link = await open({
    data: (bytes) => {
      if (device === null) early.push(bytes)
      else device.receive(bytes)
    },
    sent: () => device?.sent?.(link.unsent),
    closed: (why) => {
      reason = why
      if (why !== null) events?.gone(why)
    },
  })
  const joined = deviceOn(link)
  device = joined
  for (const bytes of early) joined.receive(bytes)
  return {
    write: (number, offset, value) => joined.write(number, offset, value),
    endOfInterrupt: (line, sequence) => joined.endOfInterrupt(line, sequence),
    enableLine: (line) => joined.enableLine(line),
    disableLine: (line) => joined.disableLine(line),
    flush: (done) => joined.flush(done),
    read: (number, offset, done) => joined.read(number, offset, done),
    credit: (number, offset, count) => joined.credit(number, offset, count),
    connect: (listener) => {
      events = listener
      joined.connect(listener)
      if (reason !== null) listener.gone(reason)
    },
    close: () => link.close(),
  }
}
