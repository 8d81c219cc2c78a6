/** The far ends of links that live in this process. */
import { openPipe } from '../../../hal/links/pipe.ts'
import { openPty } from '../../../hal/links/pty.ts'
import { openSerial, type SerialOptions } from '../../../hal/links/serial.ts'
import type { Link, LinkEvents } from '../../../hal/links/link.ts'
import type { Attachment, FarEnd, LinkKind } from './contract.ts'

/** A far end made of a link. */
export class LinkEnd implements FarEnd {
  readonly #parts: Uint8Array[] = []
  link: Link | null = null

  readonly events: LinkEvents = {
    data: (bytes) => void this.#parts.push(bytes),
    closed: () => {},
  }
  send(bytes: Uint8Array): void {
    this.link?.write(bytes)
  }
  received(): Uint8Array {
    return Buffer.concat(this.#parts)
  }
  async unplug(): Promise<void> {
    await this.link?.close()
  }
}

export const pipeKind: LinkKind = {
  report: null,
  noUnplug: null,
  attach: (): Promise<Attachment> => {
    const far = new LinkEnd()
    return Promise.resolve({
      far,
      open: (events) => {
        const { host, board } = openPipe(events, far.events)
        far.link = board
        return Promise.resolve(host)
      },
      dispose: () => far.unplug(),
    })
  },
}

/** The host's end: `serialport` on a terminal whose other end is a board of ours. */
const serialKindWith = (options: Omit<SerialOptions, 'path'>): LinkKind => ({
  report: null,
  noUnplug: null,
  attach: async (): Promise<Attachment> => {
    const far = new LinkEnd()
    const board = await openPty(far.events)
    far.link = board
    return { far, open: (events) => openSerial({ ...options, path: board.path }, events), dispose: () => board.close() }
  },
})

export const serialKind = serialKindWith({})
export const streamKind = serialKindWith({ stream: true })

/** The board's end of the same. Programs open and close it as they like. */
export const ptyKind: LinkKind = {
  report: null,
  noUnplug: 'a program that closes the terminal pulls out nothing',
  attach: (): Promise<Attachment> => {
    const far = new LinkEnd()
    return Promise.resolve({
      far,
      open: async (events) => {
        const board = await openPty(events)
        far.link = await openSerial({ path: board.path }, far.events)
        return board
      },
      dispose: () => far.unplug(),
    })
  },
}
