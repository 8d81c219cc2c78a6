/** The adc class: channels sampled in turn, a stream of samples, and a window to leave (docs/hardware/adc.md). */
import { type DeviceClass, offsetsOf, type RegisterSpec } from './device.ts'

export const ADC_CHANNELS = 8
export const ADC_LEAST_PERIOD_US = 500
const FIRST_SAMPLE = 0x40

/** Offset of a channel's newest sample. */
export const adcSample = (channel: number): number => FIRST_SAMPLE + channel * 4

const fixed = [
  { name: 'CONTROL', offset: 0x00, kind: 'control' },
  { name: 'CHANNELS', offset: 0x04, kind: 'control' },
  { name: 'PERIOD', offset: 0x08, kind: 'control', reset: 10_000 },
  { name: 'LOW', offset: 0x0c, kind: 'control' },
  { name: 'HIGH', offset: 0x10, kind: 'control', reset: 0xffff },
  { name: 'DATA', offset: 0x14, kind: 'fifo', width: 4, room: 1024 },
  { name: 'DATA_LEVEL', offset: 0x18, kind: 'level', of: 0x14 },
  { name: 'SAMPLES', offset: 0x1c, kind: 'count' },
  { name: 'LOST', offset: 0x20, kind: 'count' },
  { name: 'OUTSIDE', offset: 0x24, kind: 'status' },
  { name: 'CROSSINGS', offset: 0x28, kind: 'count' },
  { name: 'TIME', offset: 0x2c, kind: 'status' },
  { name: 'PRESENT', offset: 0x30, kind: 'status' },
  { name: 'RESOLUTION', offset: 0x34, kind: 'status', reset: 10 },
] as const

const samples = Array.from(
  { length: ADC_CHANNELS },
  (_, channel): RegisterSpec => ({ name: `SAMPLE_${channel}`, offset: adcSample(channel), kind: 'status' }),
)

/** Offsets in the register window; those of the samples by `adcSample`. */
export const Adc = offsetsOf(fixed)

/** Bits of CONTROL. */
export const AdcControl = { RUN: 1 << 0, STREAM: 1 << 1, WATCH: 1 << 2 } as const

export const adcClass: DeviceClass = {
  name: 'adc',
  version: 1,
  registers: [...fixed, ...samples],
  lines: [
    {
      name: 'threshold',
      dirql: 4,
      mode: 'latched',
      shared: false,
      snapshot: ['OUTSIDE', 'CROSSINGS', 'TIME', ...samples.map(({ name }) => name)],
    },
    { name: 'data', dirql: 3, mode: 'latched', shared: false, snapshot: ['SAMPLES', 'LOST'] },
  ],
}

/** An entry of DATA. */
export const adcEntry = (channel: number, value: number): number => ((channel << 16) | (value & 0xffff)) >>> 0
export const adcChannelOf = (entry: number): number => entry >>> 16
export const adcValueOf = (entry: number): number => entry & 0xffff
