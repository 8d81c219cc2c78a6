/** What programs ask of the Uno's drivers while it is pulled out, and what they may be told. */
import type { Prng } from '../../base/prng.ts'
import { IOCTL_AT24_STATISTICS, STATISTICS as EEPROM_STATISTICS } from '../../drivers/at24/interface.ts'
import { EDGE, IOCTL_GPIO_READ_PINS, IOCTL_GPIO_SET_UP_PIN, PIN_SETUP, PINS } from '../../drivers/gpio/interface.ts'
import { IOCTL_TMP102_SET_THRESHOLDS, IOCTL_TMP102_STATISTICS, STATISTICS } from '../../drivers/tmp102/interface.ts'
import {
  STATUS_CANCELLED,
  STATUS_DEVICE_NOT_CONNECTED,
  STATUS_IO_DEVICE_ERROR,
  STATUS_IO_TIMEOUT,
  STATUS_NO_SUCH_DEVICE,
  STATUS_SUCCESS,
} from '../../kernel/rtl/status.ts'
import type { SystemCall, SystemReply } from '../../machine/userservice.ts'

export type Device = 'Tmp102' | 'At24' | 'Gpio'
export const DEVICES: readonly Device[] = ['Tmp102', 'At24', 'Gpio']

const EEPROM_BYTES = 0x8000
const MOST_BYTES = 200
/** Temperatures that the sensor is ever exposed to, in °C; it tells 0 before its first conversion. */
export const COLDEST = 10
export const HOTTEST = 40
const PER_DEGREE = 16
const ALERT_AT = 25
const BUTTON_PIN = 2

export interface Question {
  /** For people. */
  name: string
  device: Device
  call: (handle: number) => SystemCall
  /** Why the data that came with STATUS_SUCCESS is wrong; null when it is right. */
  fault: (data: Uint8Array) => string | null
  /** Does not need the board: is answered as long as the file is open. */
  isLocal?: boolean
}

/** What the EEPROM holds at `address`, whoever has written it. Never what an empty bus reads as. */
export const eepromByte = (address: number): number => (address * 7 + (address >> 8)) % 251

const ALL_ONES = 0xff

const right = (): null => null

function ioctl(device: Device, name: string, code: number, input: Uint8Array, output: number): Question {
  const request = (handle: number): SystemCall => ({ call: 'ioctl', handle, code, input, output })
  return { name: `${device} ${name}`, device, call: request, fault: right }
}

function words(...values: number[]): Uint8Array {
  return new Uint8Array(Uint32Array.from(values).buffer)
}

function temperature(): Question {
  return {
    name: 'Tmp102 read',
    device: 'Tmp102',
    call: (handle) => ({ call: 'read', handle, length: 16, offset: null }),
    fault: (data) => {
      const celsius = Number(new TextDecoder().decode(data))
      return data.length > 0 && celsius >= 0 && celsius <= HOTTEST ? null : `${new TextDecoder().decode(data)} °C`
    },
  }
}

function readEeprom(random: Prng): Question {
  const offset = random.below(EEPROM_BYTES - MOST_BYTES)
  const length = 1 + random.below(MOST_BYTES)
  return {
    name: 'At24 read',
    device: 'At24',
    call: (handle) => ({ call: 'read', handle, length, offset }),
    fault: (data) => {
      if (data.length !== length) return `${data.length} bytes of ${length}`
      const wrong = data.findIndex((byte, index) => byte !== eepromByte(offset + index))
      return wrong === -1 ? null : `${data[wrong]} at ${offset + wrong}, not ${eepromByte(offset + wrong)}`
    },
  }
}

function writeEeprom(random: Prng): Question {
  const offset = random.below(EEPROM_BYTES - MOST_BYTES)
  const bytes = Uint8Array.from({ length: 1 + random.below(MOST_BYTES) }, (_, index) => eepromByte(offset + index))
  return {
    name: 'At24 write',
    device: 'At24',
    call: (handle) => ({ call: 'write', handle, bytes, offset }),
    fault: right,
  }
}

function edges(random: Prng): Question {
  const length = EDGE.size * (1 + random.below(4))
  return {
    name: 'Gpio read',
    device: 'Gpio',
    call: (handle) => ({ call: 'read', handle, length, offset: null }),
    fault: (data) =>
      data.length > 0 && data.length % EDGE.size === 0 && data[0] === BUTTON_PIN
        ? null
        : `the record ${data.join(' ')}`,
  }
}

/** Any question. */
export function question(random: Prng): Question {
  switch (random.below(9)) {
    case 0:
    case 1:
      return temperature()
    case 2:
      return ioctl(
        'Tmp102',
        'set thresholds',
        IOCTL_TMP102_SET_THRESHOLDS,
        words((ALERT_AT - 5) * PER_DEGREE, ALERT_AT * PER_DEGREE),
        0,
      )
    case 3:
      return readEeprom(random)
    case 4:
      return writeEeprom(random)
    case 5:
      return edges(random)
    case 6: {
      const debounceUs = random.chance(0.5) ? 0 : 200 + random.below(2000)
      const setup = words(BUTTON_PIN, 0, 1, random.below(2), 1, debounceUs)
      return ioctl('Gpio', 'set up pin', IOCTL_GPIO_SET_UP_PIN, setup.subarray(0, PIN_SETUP.size), 0)
    }
    case 7:
      return {
        ...ioctl('Gpio', 'read pins', IOCTL_GPIO_READ_PINS, new Uint8Array(0), PINS.size),
        fault: ([levels = 0]) => (levels === ALL_ONES ? 'the levels of a window without a board' : null),
      }
    default:
      return random.chance(0.5)
        ? { ...ioctl('Tmp102', 'statistics', IOCTL_TMP102_STATISTICS, words(), STATISTICS.size), isLocal: true }
        : { ...ioctl('At24', 'statistics', IOCTL_AT24_STATISTICS, words(), EEPROM_STATISTICS.size), isLocal: true }
  }
}

/** What a request has seen of the board, and of who asked. */
export interface Circumstances {
  /** It was sent behind the unplug. */
  isLate: boolean
  /** It has ended behind the unplug's beginning. */
  wasUnplugged: boolean
  isAborted: boolean
  /** The bus had faults in this session. */
  isFaulty: boolean
}

/** Why an answer is wrong; null when it is right. */
export function wrongIn({ name, fault, isLocal }: Question, reply: SystemReply, seen: Circumstances): string | null {
  const allowed: number[] = []
  if (!seen.isLate || isLocal === true) allowed.push(STATUS_SUCCESS)
  if (seen.wasUnplugged && isLocal !== true) allowed.push(STATUS_DEVICE_NOT_CONNECTED)
  if (seen.isAborted) allowed.push(STATUS_CANCELLED)
  if (seen.isFaulty && !seen.isLate) allowed.push(STATUS_IO_TIMEOUT, STATUS_IO_DEVICE_ERROR, STATUS_NO_SUCH_DEVICE)
  const when = `${seen.isLate ? 'behind' : seen.wasUnplugged ? 'during' : 'before'} the unplug`
  if (!allowed.includes(reply.status)) {
    return `${name} ended with 0x${(reply.status >>> 0).toString(16)} ${when}${seen.isAborted ? ', cancelled' : ''}`
  }
  const wrong = reply.status === STATUS_SUCCESS && reply.data ? fault(reply.data) : null
  return wrong === null ? null : `${name} succeeded ${when} with ${wrong}`
}
