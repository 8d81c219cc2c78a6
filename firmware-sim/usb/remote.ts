/** USB devices in a process of their own, for a program that opens them itself. */
import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Identity } from './descriptors.ts'
import type { UsbKind } from './kinds.ts'
import type { UsbOrder, UsbRequest, UsbTold } from './process.ts'
import type { HostLines, ModemInputs } from './serial.ts'

const PROCESS = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? './process.ts' : './process.js', import.meta.url),
)

/** The process, and what is plugged in there. */
export class UsbProcess {
  readonly #child: ChildProcess
  readonly #ended: Promise<void>
  readonly #waiting = new Map<number, { resolve: (place: string) => void; reject: (error: Error) => void }>()
  readonly #devices = new Map<number, RemoteUsbDevice>()
  #nextId = 1
  #nextDevice = 1

  constructor() {
    this.#child = fork(PROCESS, { execArgv: [], serialization: 'advanced' })
    this.#child.on('message', (told) => this.#take(told as UsbTold))
    this.#ended = new Promise((resolve) => this.#child.once('exit', () => resolve()))
    this.#child.once('exit', () => {
      for (const { reject } of this.#waiting.values()) reject(new Error('the process of the USB devices has ended'))
      this.#waiting.clear()
    })
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  async plug(kind: UsbKind, identity: Partial<Identity> = {}): Promise<RemoteUsbDevice> {
    const number = this.#nextDevice++
    const device = new RemoteUsbDevice(async (order) => void (await this.#ask(number, order)))
    this.#devices.set(number, device)
    device.place = await this.#ask(number, { do: 'plug', kind, identity })
    return device
  }

  /** Unplugs all and ends the process. */
  async close(): Promise<void> {
    if (this.#child.connected) this.#child.disconnect()
    await this.#ended
  }

  #ask(device: number, order: UsbOrder): Promise<string> {
    const id = this.#nextId++
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject })
      const request: UsbRequest = { ...order, id, device }
      this.#child.send(request, (error) => {
        if (error !== null && this.#waiting.delete(id)) reject(error)
      })
    })
  }

  #take(told: UsbTold): void {
    if (told.tells !== 'reply') {
      this.#devices.get(told.device)?.take(told)
      if (told.tells === 'gone') this.#devices.delete(told.device)
      return
    }
    const asked = this.#waiting.get(told.id)
    this.#waiting.delete(told.id)
    if (told.error === null) asked?.resolve(told.place)
    else asked?.reject(new Error(told.error))
  }
}

/** A device that is plugged in. What it tells is kept. */
export class RemoteUsbDevice {
  /** Where the kernel keeps what it makes of it (sysfs.ts). */
  place = ''
  /** Told of bytes from the host, which are kept all the same. */
  onData: (bytes: Uint8Array) => void = () => {}
  readonly #ask: (order: UsbOrder) => Promise<void>
  readonly #parts: Uint8Array[] = []
  /** Each state of the host's lines, the newest last. */
  readonly lines: HostLines[] = []
  readonly baudRates: number[] = []
  /** Feature reports that the host sent. */
  readonly features: { report: number; bytes: Uint8Array }[] = []
  readonly #gone = Promise.withResolvers<void>()

  constructor(ask: (order: UsbOrder) => Promise<void>) {
    this.#ask = ask
  }

  take(told: Exclude<UsbTold, { tells: 'reply' }>): void {
    if (told.tells === 'data') {
      this.#parts.push(told.bytes)
      this.onData(told.bytes)
    } else if (told.tells === 'lines') this.lines.push(told.lines)
    else if (told.tells === 'baud') this.baudRates.push(told.baudRate)
    else if (told.tells === 'feature') this.features.push({ report: told.report, bytes: told.bytes })
    else if (told.tells === 'gone') this.#gone.resolve()
  }

  /** All that came from the host. */
  received(): Uint8Array {
    if (this.#parts.length !== 1) this.#parts.push(Buffer.concat(this.#parts.splice(0)))
    return this.#parts[0] as Uint8Array
  }

  /** Resolves when the process has taken it. */
  send(bytes: Uint8Array): Promise<void> {
    return this.#ask({ do: 'send', bytes: Uint8Array.from(bytes) })
  }

  /** One after the other, with none of them lost. */
  setInputs(...inputs: Partial<ModemInputs>[]): Promise<void> {
    return this.#ask({ do: 'inputs', inputs })
  }

  hold(): Promise<void> {
    return this.#ask({ do: 'hold' })
  }

  release(): Promise<void> {
    return this.#ask({ do: 'release' })
  }

  stall(address: number): Promise<void> {
    return this.#ask({ do: 'stall', address })
  }

  /** Pulls it out. Its node is gone then, or will be when no program has it open. */
  async unplug(): Promise<void> {
    await this.#ask({ do: 'unplug' })
    await this.#gone.promise
  }
}
