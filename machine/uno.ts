/** An emulated Uno in real time: it has a thread of its own, and its bytes come and go by messages. */
import { Worker } from 'node:worker_threads'
import { EEPROM_SIZE } from '../firmware-sim/avr/eeprom.ts'
import type { UnoCommand, UnoEvent } from '../firmware-sim/avr/paced.ts'
import {
  pinOf,
  sensorOf,
  UNO_BUTTONS,
  type UnoFault,
  type UnoHands,
  type UnoMemory,
  type UnoOptions,
  type UnoReport,
} from '../firmware-sim/avr/uno.ts'
import { AT24_SIZE } from '../firmware-sim/chips/at24.ts'
import { siblingFile } from '../hal/siblingfile.ts'

export interface UnoWorkerData {
  options: UnoOptions
  /** Counts commands: the thread waits on it. */
  bell: Int32Array
  speed: number
}

/** What outlives an Uno's power, in memory that its thread can share. */
export function unoMemory(): UnoMemory {
  const shared = (size: number): Uint8Array => new Uint8Array(new SharedArrayBuffer(size)).fill(0xff)
  return { eeprom: shared(EEPROM_SIZE), at24: shared(AT24_SIZE) }
}

export class UnoOnRealClock implements UnoHands {
  /** Told of bytes from the board. */
  onData: (bytes: Uint8Array) => void = () => {}
  /** Its thread failed: the board is gone. */
  onGone: (error: Error) => void = () => {}
  readonly #worker: Worker
  readonly #options: UnoOptions
  readonly #bell = new Int32Array(new SharedArrayBuffer(4))
  readonly #reports = new Map<number, { resolve: (report: UnoReport) => void; reject: (error: Error) => void }>()
  readonly #ended: Promise<void>
  #reportCount = 0
  #isOn = true

  /** `speed`: its clock runs so many times as fast as real time. */
  constructor(options: UnoOptions, speed = 1) {
    this.#options = options
    const workerData: UnoWorkerData = { options, bell: this.#bell, speed }
    this.#worker = new Worker(siblingFile('unoworker', import.meta.url), { workerData })
    this.#worker.on('message', (event: UnoEvent) => this.#take(event))
    this.#worker.on('error', (error: Error) => this.#fail(error))
    this.#ended = new Promise((resolve) => {
      this.#worker.once('exit', () => {
        this.#fail(null)
        resolve()
      })
    })
  }

  write(bytes: Uint8Array): void {
    this.#ask({ do: 'write', bytes })
  }

  press(pin: string): void {
    pinOf(pin, this.#options.buttons ?? UNO_BUTTONS)
    this.#ask({ do: 'press', pin })
  }

  release(pin: string): void {
    pinOf(pin, this.#options.buttons ?? UNO_BUTTONS)
    this.#ask({ do: 'release', pin })
  }

  set(sensor: string, value: number): void {
    sensorOf(sensor, this.#options.buttons ?? UNO_BUTTONS)
    this.#ask({ do: 'set', sensor, value })
  }

  reset(): void {
    this.#ask({ do: 'reset' })
  }

  fault(fault: UnoFault, values: readonly number[] = []): void {
    this.#ask({ do: 'fault', fault, values })
  }

  /** What it has seen so far; with the whole log of its bus, if that is wanted. */
  report(withLog = false): Promise<UnoReport> {
    const id = this.#reportCount++
    return new Promise((resolve, reject) => {
      if (!this.#isOn) return reject(new Error('this Uno is switched off'))
      this.#reports.set(id, { resolve, reject })
      this.#ask({ do: 'report', id, withLog })
    })
  }

  /** Takes its power away, and ends its thread. */
  powerOff(): Promise<void> {
    this.#ask({ do: 'stop' })
    this.#isOn = false
    return this.#ended
  }

  #ask(command: UnoCommand): void {
    if (!this.#isOn) return
    this.#worker.postMessage(command)
    Atomics.add(this.#bell, 0, 1)
    Atomics.notify(this.#bell, 0)
  }

  #take(event: UnoEvent): void {
    if (event.tells === 'report') {
      this.#reports.get(event.id)?.resolve(event.report)
      this.#reports.delete(event.id)
    } else if (this.#isOn) this.onData(event.bytes)
  }

  #fail(error: Error | null): void {
    const wasOn = this.#isOn
    this.#isOn = false
    for (const { reject } of this.#reports.values()) reject(error ?? new Error('this Uno is switched off'))
    this.#reports.clear()
    if (error !== null && wasOn) this.onGone(error)
  }
}
