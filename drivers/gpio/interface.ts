/** What programs and other drivers say to the gpio driver. */
import { CTL_CODE, FILE_ANY_ACCESS, FILE_DEVICE_UNKNOWN, METHOD_BUFFERED, struct, ULONG } from 'dirql/wdm'

const code = (number: number): number => CTL_CODE(FILE_DEVICE_UNKNOWN, number, METHOD_BUFFERED, FILE_ANY_ACCESS)
/** Input: PIN_SETUP. */
export const IOCTL_GPIO_SET_UP_PIN = code(0x801)
/** Input: PIN_LEVEL, of an output pin. */
export const IOCTL_GPIO_WRITE_PIN = code(0x802)
/** Output: PINS. */
export const IOCTL_GPIO_READ_PINS = code(0x803)

/** How a pin is to be. Zeroes are an input without pull-up that tells nothing. */
export const PIN_SETUP = struct('PIN_SETUP', {
  Pin: ULONG,
  IsOutput: ULONG,
  PullUp: ULONG,
  Rising: ULONG, // not 0: rising edges are told
  Falling: ULONG,
  DebounceUs: ULONG, // 0: every edge is told
})
export const PIN_LEVEL = struct('PIN_LEVEL', { Pin: ULONG, Level: ULONG })

/** Levels are those of the newest interrupt. */
export const PINS = struct('PINS', {
  Levels: ULONG,
  Direction: ULONG,
  Edges: ULONG, // counted by the board, of all pins
  Lost: ULONG, // records that nobody read in time
})

/** One edge, or several of one pin that came faster than the wire. */
export const EDGE = struct('EDGE', {
  Pin: ULONG,
  Level: ULONG,
  Count: ULONG, // edges of this pin so far; wraps
  Time: ULONG, // board time in microseconds; wraps
})
