/** A simulated board at a path: the far end of a pseudo terminal that any program can open as a serial port. */
import { execFile } from 'node:child_process'
import {
  closeSync,
  constants,
  lstatSync,
  openSync,
  readlinkSync,
  renameSync,
  symlinkSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import type { ReadStream } from 'node:tty'
import { promisify } from 'node:util'
import { LinkBase, LinkError, type LinkEvents } from './link.ts'
import { native } from './native.ts'

export interface PtyOptions {
  /** A symbolic link to the terminal, made now and taken away at close: a path that stays the same. */
  link?: string
}

/** How long a full terminal is left alone before the next try: nothing tells that its reader took something. */
const RETRY_MS = 1

/** The package as it is: its types know neither `open` nor the ends of a terminal. */
interface Opener {
  open(options: { encoding: null; cols: number; rows: number }): Terminal
}
interface Terminal {
  readonly _fd: number
  readonly _pty: string
  readonly master: ReadStream
  readonly slave: ReadStream
}

/**
 * Opens a pseudo terminal, raw, and gives back the board's end; `path` is what programs open. Programs may come and go:
 * what is sent while none is there waits. Closing is the board's unplug.
 */
export async function openPty(events: LinkEvents, options: PtyOptions = {}): Promise<LinkBase> {
  if (process.platform === 'win32') throw new LinkError('unsupported', 'Windows has no pseudo terminals at a path')
  const { default: pty } = await native('@lydell/node-pty', () => import('@lydell/node-pty'))
  // never call its destroy() or kill(): of a terminal without a program they signal every process of the user
  const terminal = (pty as unknown as Opener).open({ encoding: null, cols: 80, rows: 24 })
  // with a file of ours open the terminal outlives its clients; the package's own would read what is for them
  const keeper = openSync(terminal._pty, constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK)
  terminal.slave.destroy()
  const link = new PtyLink(terminal, keeper, options.link ?? null, events)
  try {
    await promisify(execFile)('stty', [process.platform === 'linux' ? '-F' : '-f', terminal._pty, 'raw', '-echo'])
    if (options.link !== undefined) pointTo(options.link, terminal._pty)
  } catch (error) {
    await link.close()
    throw error
  }
  return link
}

/** Makes `link` lead to `path`, whatever link was there. */
function pointTo(link: string, path: string): void {
  const there = lstatSync(link, { throwIfNoEntry: false })
  if (there !== undefined && !there.isSymbolicLink()) {
    throw new LinkError('failed', `${link} exists and is no symbolic link: choose another path`)
  }
  const fresh = `${link}.${process.pid}`
  symlinkSync(path, fresh)
  renameSync(fresh, link)
}

class PtyLink extends LinkBase {
  readonly path: string
  readonly #terminal: Terminal
  readonly #keeper: number
  readonly #link: string | null
  readonly #queue: { bytes: Uint8Array; sent: () => void }[] = []
  /** Something is queued, and will be written. */
  #isWriting = false

  constructor(terminal: Terminal, keeper: number, link: string | null, events: LinkEvents) {
    super(events)
    this.path = link ?? terminal._pty
    this.#terminal = terminal
    this.#keeper = keeper
    this.#link = link
    terminal.master.on('data', (bytes: Uint8Array) => this.received(bytes))
    terminal.master.on('error', (error) => this.gone(`the terminal failed: ${error.message}`))
  }

  protected transmit(bytes: Uint8Array, sent: () => void): void {
    this.#queue.push({ bytes, sent })
    if (this.#isWriting) return
    this.#isWriting = true
    queueMicrotask(() => this.#write())
  }

  /** What is written in one go is one call of the system. The stream's own would block this thread at a full terminal. */
  #write(): void {
    this.#isWriting = false
    if (!this.isOpen || this.#queue.length === 0) return
    try {
      this.#wrote(writeSync(this.#terminal._fd, Buffer.concat(this.#queue.map(({ bytes }) => bytes))))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EAGAIN') this.#tryLater()
      else this.gone(`the terminal failed: ${(error as Error).message}`)
    }
  }

  #wrote(count: number): void {
    const gone: (() => void)[] = []
    let left = count
    for (let first = this.#queue[0]; first !== undefined && first.bytes.length <= left; first = this.#queue[0]) {
      left -= first.bytes.length
      gone.push(first.sent)
      this.#queue.shift()
    }
    if (this.#queue[0] !== undefined) {
      this.#queue[0].bytes = this.#queue[0].bytes.subarray(left)
      this.#tryLater()
    }
    for (const sent of gone) sent()
  }

  #tryLater(): void {
    this.#isWriting = true
    setTimeout(() => this.#write(), RETRY_MS)
  }

  protected hold(): void {
    this.#terminal.master.pause()
  }

  protected unhold(): void {
    this.#terminal.master.resume()
  }

  protected async release(): Promise<void> {
    this.#queue.length = 0
    const { master, _pty } = this.#terminal
    if (this.#link !== null) removeLink(this.#link, _pty)
    const closed = new Promise<void>((resolve) => master.once('close', () => resolve()))
    closeSync(this.#keeper)
    master.destroy()
    await closed
  }
}

/** Takes the link away if it still leads to `path`: another board may have taken it over. */
function removeLink(link: string, path: string): void {
  try {
    if (readlinkSync(link) === path) unlinkSync(link)
  } catch {
    // somebody else took it away
  }
}
