/** The datasheets of docs/hardware tell what classes/ holds. */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { adcClass, adcChannelOf, adcEntry, adcValueOf } from '../../classes/adc.ts'
import { type DeviceClass, grown } from '../../classes/device.ts'
import { gpioClass, gpioMask, gpioPinsOf } from '../../classes/gpio.ts'
import { fieldValue, hidClass, hidEntry, type ReportFieldSpec } from '../../classes/hid.ts'
import {
  i2cClass,
  i2cControl,
  i2cDurationUs,
  i2cFailure,
  i2cSpeedKhz,
  I2cStatus,
  i2cSucceeded,
} from '../../classes/i2c.ts'
import { groupsOf, linesClass, patternRegisters, patternValue } from '../../classes/lines.ts'
import { uartClass, uartLineControl, uartRoom, uartSettings } from '../../classes/uart.ts'

const CLASSES: [string, DeviceClass][] = [i2cClass, gpioClass, adcClass, uartClass, linesClass, hidClass].map((one) => [
  one.name,
  one,
])

const sheetOf = (name: string): string =>
  readFileSync(new URL(`../../docs/hardware/${name}.md`, import.meta.url), 'utf8')

/** The cells of the table rows whose first cell matches. */
function rows(sheet: string, first: RegExp): string[][] {
  return sheet
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .map((line) =>
      line
        .replace(/\\\|/g, '/')
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    )
    .filter(([cell = '']) => first.test(cell))
}

const hex = (offset: number): string => `0x${offset.toString(16).toUpperCase().padStart(2, '0')}`

describe.each(CLASSES)('%s', (name, { registers, lines }) => {
  const sheet = sheetOf(name)

  test('has the registers of its sheet', () => {
    const told = rows(sheet, /^0x[0-9A-F]{2}$/).map(([offset, register, kind, reset]) => ({
      offset,
      register,
      kind,
      reset: Number(reset === '–' ? 0 : reset),
    }))
    const numbered = /^(?:EDGES|SAMPLE)_\d+$/
    const held = registers
      .filter((register) => !numbered.test(register.name))
      .map(({ offset, name: register, kind, reset = 0 }) => ({ offset: hex(offset), register, kind, reset }))
    expect(told).toEqual(held)
  })

  test('has the lines of its sheet', () => {
    const short = (snapshot: readonly string[]): string =>
      snapshot.join(', ').replace(/(EDGES|SAMPLE)_0, .*(EDGES|SAMPLE)_(\d+)$/, '$1_0 … $2_$3')
    const held = lines.map((line) => [
      line.name,
      line.mode,
      String(line.dirql),
      line.shared ? 'yes' : 'no',
      short(line.snapshot),
    ])
    const names = lines.map((line) => line.name).join('|')
    expect(rows(sheet, new RegExp(`^(?:${names})$`))).toEqual(held)
  })

  test('gives each register a place of its own, and to one line at most', () => {
    expect(new Set(registers.map(({ offset }) => offset)).size).toBe(registers.length)
    expect(new Set(registers.map((register) => register.name)).size).toBe(registers.length)
    expect(registers.filter(({ offset }) => offset % 4 !== 0 || offset > 2044)).toEqual([])
    const told = lines.flatMap(({ snapshot }) => snapshot)
    expect(new Set(told).size).toBe(told.length)
    const kinds = told.map((register) => registers.find((one) => one.name === register)?.kind)
    expect(kinds.filter((kind) => kind !== 'status' && kind !== 'count')).toEqual([])
    expect(Math.max(...lines.map(({ snapshot }) => snapshot.length))).toBeLessThanOrEqual(32)
  })

  test('has FIFOs with a room that is a power of two, and levels of such', () => {
    const odd = registers.filter(({ kind, room = 0 }) => kind === 'fifo' && (room & (room - 1)) !== 0)
    const fifos = new Set(registers.filter(({ kind }) => kind === 'fifo').map(({ offset }) => offset))
    const ofNothing = registers.filter(({ kind, of = -1 }) => kind === 'level' && !fifos.has(of))
    expect([...odd, ...ofNothing]).toEqual([])
  })
})

test('the Uno’s sheet numbers its lines as the board file does', async () => {
  const { readBoardFile } = await import('../../machine/boardfile.ts')
  const { layoutsOf, placedLines } = await import('../../machine/boardplan.ts')
  const lines = placedLines(layoutsOf(readBoardFile('arduino-uno')))
  const told = rows(sheetOf('arduino-uno'), /^(?:done|pins|button|alert|threshold|data)$/)
  expect(told.map(([name, number, device]) => [device, name, Number(number)])).toEqual(
    lines.map(({ device, line, number }) => [device, line.name, number]),
  )
})

describe('helpers', () => {
  test('a count that wrapped has grown', () => {
    expect(grown(0xffff_fffe, 3)).toBe(5)
  })

  test('an i2c CONTROL carries the speed, and STATUS tells success and failure', () => {
    expect(i2cSpeedKhz(i2cControl(400))).toBe(400)
    expect(i2cControl(100)).toBe(0x0064_0001)
    expect(i2cSucceeded(I2cStatus.DONE | I2cStatus.BUSY)).toBe(true)
    expect(i2cSucceeded(I2cStatus.DONE | I2cStatus.TIMEOUT)).toBe(false)
    expect(i2cFailure(I2cStatus.DONE | I2cStatus.NACK_DATA)).toBe('NACK_DATA')
    expect(i2cFailure(I2cStatus.DONE)).toBeNull()
  })

  test('an address alone takes eleven bits', () => {
    expect(i2cDurationUs(100, 0, 0)).toBe(110)
    expect(i2cDurationUs(400, 0, 1)).toBe(50)
  })

  test('pins and masks are each other’s inverse', () => {
    expect(gpioPinsOf(gpioMask(2, 3, 19))).toEqual([2, 3, 19])
    expect(gpioMask()).toBe(0)
  })

  test('an adc entry holds channel and value', () => {
    expect([adcChannelOf(adcEntry(7, 1023)), adcValueOf(adcEntry(7, 1023))]).toEqual([7, 1023])
  })

  test('LINE_CONTROL and settings are each other’s inverse; what is out of range is none', () => {
    const settings = { dataBits: 7, stopBits: 2, parity: 'EVEN', rtsCts: true, xonXoff: false } as const
    expect(uartSettings(uartLineControl(settings))).toEqual(settings)
    expect(uartSettings(0x18)).toEqual({ dataBits: 8, stopBits: 1, parity: 'NONE', rtsCts: false, xonXoff: false })
    expect([0, 4, 0x38, 0x718].map(uartSettings)).toEqual([null, null, null, null])
    expect(uartRoom(3, 0xffff_fff0)).toBe(19)
  })

  test('a pattern’s groups are registers, scaled, in two’s complement', () => {
    expect(groupsOf('^T=(-?[0-9.]+) (on|off)')).toBe(2)
    const pattern = { name: 'light-level', match: 'L(\\d+)', scale: 1, dirql: 5 }
    expect(patternRegisters(pattern, 2)).toEqual([
      { name: 'LIGHT_LEVEL_COUNT', offset: 0x80, kind: 'count' },
      { name: 'LIGHT_LEVEL_1', offset: 0x84, kind: 'status' },
    ])
    expect(patternValue('-23.5', 1000)).toBe(-23_500 >>> 0)
    expect([patternValue('0x1f', 1), patternValue('on', 1), patternValue(undefined, 1)]).toEqual([31, 0, 0])
  })

  test('a field is cut out of a report, across bytes and with its sign', () => {
    const field: ReportFieldSpec = {
      name: 'x',
      report: 0,
      byte: 0,
      bit: 4,
      bits: 12,
      signed: true,
      mode: 'latched',
      active: 'both',
      dirql: 5,
    }
    expect(fieldValue(field, Uint8Array.of(0xf0, 0x7f))).toBe(0x7ff)
    expect(fieldValue(field, Uint8Array.of(0xe0, 0xff))).toBe(-2 >>> 0)
    expect(fieldValue(field, Uint8Array.of(0xe0))).toBeNull()
    expect(hidEntry(5, Uint8Array.of(1, 2))).toEqual(Uint8Array.of(3, 0, 5, 1, 2))
  })
})
