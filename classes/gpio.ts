/** The gpio class: pins, their direction and level, and interrupts on their edges (docs/hardware/gpio.md). */
import { type DeviceClass, offsetsOf, type RegisterSpec } from './device.ts'

/** Pins are numbered from 0; each is a bit of the mask registers. */
export const GPIO_PINS = 20
const FIRST_COUNT = 0x40

/** Offset of the count of a pin's edges. */
export const gpioEdges = (pin: number): number => FIRST_COUNT + pin * 4
/** Name of that register. */
export const gpioEdgesName = (pin: number): string => `EDGES_${pin}`

const masks = [
  { name: 'DIRECTION', offset: 0x00, kind: 'control' },
  { name: 'OUTPUT', offset: 0x04, kind: 'control' },
  { name: 'PULLUP', offset: 0x08, kind: 'control' },
  { name: 'RISING', offset: 0x0c, kind: 'control' },
  { name: 'FALLING', offset: 0x10, kind: 'control' },
  { name: 'INPUT', offset: 0x14, kind: 'status' },
  { name: 'EDGE_PINS', offset: 0x18, kind: 'status' },
  { name: 'TIME', offset: 0x1c, kind: 'status' },
  { name: 'PINS', offset: 0x20, kind: 'status' },
] as const

const counts = Array.from(
  { length: GPIO_PINS },
  (_, pin): RegisterSpec => ({ name: gpioEdgesName(pin), offset: gpioEdges(pin), kind: 'count' }),
)

/** Offsets in the register window; those of the counts by `gpioEdges`. */
export const Gpio = offsetsOf(masks)

export const gpioClass: DeviceClass = {
  name: 'gpio',
  version: 1,
  registers: [...masks, ...counts],
  lines: [
    {
      name: 'pins',
      dirql: 6,
      mode: 'latched',
      shared: true,
      snapshot: ['INPUT', 'EDGE_PINS', 'TIME', ...counts.map(({ name }) => name)],
    },
  ],
}

/** The pins whose bits are set, lowest first. */
export function gpioPinsOf(mask: number): number[] {
  return Array.from({ length: GPIO_PINS }, (_, pin) => pin).filter((pin) => ((mask >>> pin) & 1) !== 0)
}

/** The mask of `pins`. */
export const gpioMask = (...pins: readonly number[]): number => pins.reduce((mask, pin) => (mask | (1 << pin)) >>> 0, 0)
