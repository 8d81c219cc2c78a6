/**
 * How bytes go through a port that the package has opened. On Linux and macOS its file never blocks: it is read when
 * the package's poller says that something is there, and written at once. The package's own calls take each through a
 * thread, and ask there again for bytes that have not come yet. On Windows they are the only way.
 */
import { readSync, writeSync } from 'node:fs'
import type { SerialPort } from 'serialport'

export interface SerialIo {
  /** Sends `bytes`, which are the port's own, behind those of before; `done` when the system has them all. */
  write(bytes: Uint8Array, done: () => void): void
  /** Reads no more; what comes waits in the system. */
  pause(): void
  resume(): void
  /** The port is about to be closed. */
  stop(): void
}

export interface SerialIoEvents {
  /** The bytes are the receiver's to keep. */
  data(bytes: Uint8Array): void
  /** The device is gone; once or more. */
  gone(error: Error | null | undefined): void
}

/** `isStream`: by the package's own calls, also where there is another way. */
export function serialIo(port: SerialPort, isStream: boolean, events: SerialIoEvents): SerialIo {
  const file = isStream ? null : openFile(port)
  return file === null ? new StreamIo(port, events) : new FileIo(file, events)
}

/** What the package watches an open file with: one call for each event that was asked for. */
interface Poller {
  once(event: 'readable' | 'writable' | 'disconnect', told: (error: Error | null) => void): void
}

interface OpenFile {
  fd: number
  poller: Poller
}

/** The package shows it on no system but Linux and macOS. */
export function openFile({ port }: SerialPort): OpenFile | null {
  return port !== undefined && 'poller' in port && port.fd !== null ? { fd: port.fd, poller: port.poller } : null
}

/** More than a terminal gives at once. */
const MOST_READ = 4096
const SLAB = 16 * MOST_READ

class FileIo implements SerialIo {
  readonly #fd: number
  readonly #poller: Poller
  readonly #events: SerialIoEvents
  readonly #queue: { bytes: Uint8Array; done: () => void }[] = []
  /** The system takes no more for now. */
  #isFull = false
  #isStopped = false
  #isPaused = false
  /** The poller was asked for what can be read. */
  #isAsked = false
  /** What is read goes here, one behind the other. */
  #slab = Buffer.allocUnsafe(SLAB)
  #used = 0

  constructor({ fd, poller }: OpenFile, events: SerialIoEvents) {
    this.#fd = fd
    this.#poller = poller
    this.#events = events
    this.#ask()
  }

  #ask(): void {
    if (this.#isAsked || this.#isPaused || this.#isStopped) return
    this.#isAsked = true
    this.#poller.once('readable', this.#readable)
  }

  readonly #readable = (error: Error | null): void => {
    this.#isAsked = false
    if (error !== null) this.#gone(error)
    else if (!this.#isPaused && !this.#isStopped) this.#read()
    this.#ask()
  }

  /** Once for each time that the poller tells: others of this thread get their turn. */
  #read(): void {
    if (this.#slab.length - this.#used < MOST_READ) {
      this.#slab = Buffer.allocUnsafe(SLAB)
      this.#used = 0
    }
    const count = this.#try(() => readSync(this.#fd, this.#slab, this.#used, MOST_READ, null))
    if (count === null) return
    if (count === 0) {
      this.#gone(null) // of a file that waits for a byte at least, this is its end
      return
    }
    const bytes = this.#slab.subarray(this.#used, this.#used + count)
    this.#used += count
    this.#events.data(bytes)
  }

  /** Null when the system would have us wait, or the device is gone. */
  #try(call: () => number): number | null {
    try {
      return call()
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') this.#gone(error as Error)
      return null
    }
  }

  write(bytes: Uint8Array, done: () => void): void {
    this.#queue.push({ bytes, done })
    if (!this.#isFull) this.#write()
  }

  #write(): void {
    for (let first = this.#queue[0]; first !== undefined && !this.#isStopped; first = this.#queue[0]) {
      const { bytes, done } = first
      const count = this.#try(() => writeSync(this.#fd, bytes)) ?? 0
      if (count < bytes.length) {
        first.bytes = bytes.subarray(count)
        this.#awaitRoom()
        return
      }
      this.#queue.shift()
      done()
    }
  }

  #awaitRoom(): void {
    if (this.#isStopped) return
    this.#isFull = true
    this.#poller.once('writable', (error) => {
      this.#isFull = false
      if (error === null) this.#write()
      else this.#gone(error)
    })
  }

  #gone(error: Error | null): void {
    if (this.#isStopped) return
    this.stop()
    this.#events.gone(error)
  }

  pause(): void {
    this.#isPaused = true
  }

  resume(): void {
    this.#isPaused = false
    this.#ask()
  }

  stop(): void {
    this.#isStopped = true
    this.#queue.length = 0
  }
}

class StreamIo implements SerialIo {
  readonly #port: SerialPort
  readonly #events: SerialIoEvents

  constructor(port: SerialPort, events: SerialIoEvents) {
    this.#port = port
    this.#events = events
    // without a listener for data the port does not read, and an unplug goes unnoticed
    port.on('data', (bytes: Buffer) => events.data(bytes))
  }

  write(bytes: Uint8Array, done: () => void): void {
    this.#port.write(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), (error) => {
      // the port's own 'close' comes too, but not always: after an unplug a write may be all that ever fails
      if (error === null || error === undefined) done()
      else this.#events.gone(error)
    })
  }

  pause(): void {
    this.#port.pause()
  }

  resume(): void {
    this.#port.resume()
  }

  stop(): void {}
}
