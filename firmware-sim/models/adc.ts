/** The adc class as a model: channels whose values hands set (docs/hardware/adc.md). */
import { ADC_CHANNELS, ADC_LEAST_PERIOD_US, AdcControl, adcEntry } from '../../classes/adc.ts'
import type { DeviceModel } from '../device.ts'
import type { ModelTime } from '../model.ts'

const TICKS_PER_US = 10
/** Samples that the board keeps while the host has no room. */
const STREAM_ROOM = 32

export class AdcModel {
  readonly #device: DeviceModel
  readonly #time: ModelTime
  /** What each channel is exposed to. */
  readonly #inputs: number[] = Array<number>(ADC_CHANNELS).fill(0)
  #cancel: () => void = () => {}
  #isRunning = false
  #control = 0
  #nextAt = 0

  constructor(device: DeviceModel, time: ModelTime) {
    this.#device = device
    this.#time = time
    device.heldLines.add('data')
    device.onWrite = (register, value) => {
      if (register === 'CONTROL') this.#write(value)
    }
    device.onBegin = () => this.#begin()
    device.onRead = (register) => this.#refresh(register)
  }

  #begin(): void {
    this.#cancel()
    this.#isRunning = false
    this.#control = 0
  }

  /** Sets what a channel is exposed to, as the converter would read it. */
  set(channel: number, value: number): void {
    const most = 2 ** this.#device.get('RESOLUTION') - 1
    this.#inputs[channel] = Math.max(0, Math.min(most, Math.round(value)))
  }

  get channels(): number {
    return this.#device.get('PRESENT')
  }

  #write(control: number): void {
    const changed = this.#control ^ control
    this.#control = control
    if ((changed & control & AdcControl.WATCH) !== 0) this.#device.set('OUTSIDE', 0)
    if ((changed & AdcControl.RUN) === 0) return
    this.#cancel()
    this.#isRunning = (control & AdcControl.RUN) !== 0
    this.#nextAt = this.#time.now()
    if (this.#isRunning) this.#scan()
  }

  /** The next scan is planned from this one's time, not from now: a late one makes none later. */
  #scan(): void {
    if (!this.#isRunning) return
    const channels = this.#device.get('CHANNELS') & this.channels
    const streamed: number[] = []
    for (let channel = 0; channel < ADC_CHANNELS; channel++) {
      if (((channels >>> channel) & 1) !== 0) this.#sample(channel, streamed)
    }
    if (streamed.length > 0) this.#stream(streamed)
    this.#nextAt += Math.max(ADC_LEAST_PERIOD_US, this.#device.get('PERIOD')) * TICKS_PER_US
    this.#cancel = this.#time.after(Math.max(0, this.#nextAt - this.#time.now()), () => this.#scan())
  }

  #sample(channel: number, streamed: number[]): void {
    const value = this.#convert(channel)
    if ((this.#control & AdcControl.STREAM) !== 0) streamed.push(adcEntry(channel, value))
    else this.#device.add('SAMPLES', 1)
    if ((this.#control & AdcControl.WATCH) !== 0) this.#watch(channel, value)
  }

  #convert(channel: number): number {
    const value = this.#inputs[channel] as number
    this.#device.set(`SAMPLE_${channel}`, value)
    return value
  }

  #watch(channel: number, value: number): void {
    const device = this.#device
    const bit = 1 << channel
    const isOutside = value < device.get('LOW') || value > device.get('HIGH')
    if (isOutside === ((device.get('OUTSIDE') & bit) !== 0)) return
    device.set('OUTSIDE', device.get('OUTSIDE') ^ bit)
    device.add('CROSSINGS', 1)
    device.set('TIME', Math.floor(this.#time.now() / TICKS_PER_US))
    device.line('threshold').pulse()
  }

  /** What neither credit nor the board's own buffer takes is lost, and counted. */
  #stream(entries: readonly number[]): void {
    const device = this.#device
    const kept = entries.slice(0, Math.max(0, STREAM_ROOM - device.waiting('DATA')))
    device.add('SAMPLES', entries.length)
    device.add('LOST', entries.length - kept.length)
    device.put('DATA', kept)
    device.line('data').pulse()
  }

  #refresh(register: string): void {
    const channel = /^SAMPLE_(\d)$/.exec(register)?.[1]
    if (channel !== undefined && !this.#isRunning && ((this.channels >>> Number(channel)) & 1) !== 0) {
      this.#convert(Number(channel))
    }
  }
}
