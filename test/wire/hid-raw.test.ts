import { describe, expect, test } from 'vitest'
import { fieldLine, fieldRegisters, Hid, hidClass, type ReportFieldSpec } from '../../classes/hid.ts'
import { HidDevice } from '../../wire/hid-raw.ts'
import { layoutOf, Seen } from './seen.ts'

const field = (name: string, more: Partial<ReportFieldSpec>): ReportFieldSpec => ({
  name,
  report: 0,
  byte: 0,
  bit: 0,
  bits: 1,
  signed: false,
  mode: 'latched',
  active: 'both',
  dirql: 5,
  ...more,
})
const FIELDS = [
  field('trigger', { byte: 1, bit: 5, active: 'high' }),
  field('stick', { byte: 0, bits: 8, signed: true }),
  field('door', { byte: 1, bit: 0, mode: 'level', active: 'high' }),
]
const Line = { DATA: 0, COMPLETE: 1, TRIGGER: 2, STICK: 3, DOOR: 4 }

function gamepad({ isNumbered = false, fields = FIELDS } = {}) {
  const seen = new Seen()
  const did: string[] = []
  const ends: ((isDone: boolean) => void)[] = []
  const layout = layoutOf(hidClass, { registers: fields.flatMap(fieldRegisters), lines: fields.map(fieldLine) })
  const port = {
    now: () => 0,
    pause: () => did.push('pause'),
    resume: () => did.push('resume'),
    sendOutput: (id: number, data: Uint8Array, done: (isDone: boolean) => void) => {
      did.push(`output ${id} [${data.join(' ')}]`)
      ends.push(done)
    },
    sendFeature: (id: number, data: Uint8Array, done: (isDone: boolean) => void) => {
      did.push(`feature ${id} [${data.join(' ')}]`)
      ends.push(done)
    },
    getFeature: (id: number, length: number, done: (data: Uint8Array | null) => void) =>
      done(id === 1 ? Uint8Array.of(9, 8, 7).subarray(0, length) : null),
  }
  const device = new HidDevice(layout, port, isNumbered, fields)
  device.connect(seen)
  for (let line = 0; line < 5; line++) device.enableLine(line)
  device.credit(0, Hid.DATA, 64)
  device.credit(0, Hid.FEATURE, 64)
  return { device, seen, did, ends }
}

describe('a HID device', () => {
  test('tells each report whole, with its length and id', () => {
    const { device, seen } = gamepad({ isNumbered: true, fields: [] })
    device.receive(Uint8Array.of(5, 1, 2, 3))
    expect(seen.entries).toEqual([4, 0, 5, 1, 2, 3])
    expect(seen.of(Line.DATA)).toEqual(['0: 1 [1 0]'])
  })

  test('pauses when the host has no room for a whole report, and counts what it cannot keep', () => {
    const { device, seen, did } = gamepad({ fields: [] })
    device.receive(new Uint8Array(61))
    device.receive(new Uint8Array(2))
    expect([seen.entries.length, did.at(-1)]).toEqual([64, 'pause'])
    for (let count = 0; count < 100; count++) device.receive(new Uint8Array(2))
    expect(device.get(Hid.LOST)).toBe(100 - 63)
  })

  test('interrupts for the bits that the board file names', () => {
    const { device, seen } = gamepad()
    device.receive(Uint8Array.of(0xf0, 0x20))
    device.receive(Uint8Array.of(0xf0, 0x00))
    device.receive(Uint8Array.of(0xf1, 0x20))
    device.endOfInterrupt(Line.TRIGGER, 0)
    device.endOfInterrupt(Line.STICK, 0)
    expect(seen.of(Line.TRIGGER)).toEqual(['0: 1 [1 1]', '1: 2 [1 2]'])
    expect(seen.of(Line.STICK)).toEqual([`0: 1 [${-16 >>> 0} 1]`, `1: 2 [${-15 >>> 0} 2]`])
  })

  test('keeps interrupting for a level that stays asserted', () => {
    const { device, seen } = gamepad()
    device.receive(Uint8Array.of(0, 1))
    device.endOfInterrupt(Line.DOOR, 0)
    device.endOfInterrupt(Line.DOOR, 1)
    expect(seen.of(Line.DOOR)).toEqual(['0: 1 [1 1]', '1: 1 [1 1]', '2: 1 [1 1]'])
    device.receive(Uint8Array.of(0, 0))
    device.endOfInterrupt(Line.DOOR, 2)
    expect(seen.of(Line.DOOR).length).toBe(3)
  })

  test('sends reports one after the other', () => {
    const { device, seen, did, ends } = gamepad({ fields: [] })
    for (const byte of [1, 2]) device.write(0, Hid.OUTPUT, byte)
    device.write(0, Hid.LENGTH, 2)
    device.write(0, Hid.REPORT_ID, 3)
    device.write(0, Hid.COMMAND, 1)
    device.write(0, Hid.OUTPUT, 9)
    device.write(0, Hid.LENGTH, 1)
    device.write(0, Hid.COMMAND, 2)
    const sent = (): string[] => did.filter((what) => !['pause', 'resume'].includes(what))
    expect(sent()).toEqual(['output 3 [1 2]'])
    ends[0]!(true)
    expect(sent()).toEqual(['output 3 [1 2]', 'feature 3 [9]'])
    ends[1]!(false)
    device.endOfInterrupt(Line.COMPLETE, 0)
    expect(seen.of(Line.COMPLETE)).toEqual(['0: 1 [1 1]', '1: 2 [3 2]'])
  })

  test('gets feature reports, and says which commands make no sense', () => {
    const { device, seen } = gamepad({ fields: [] })
    device.write(0, Hid.REPORT_ID, 1)
    device.write(0, Hid.LENGTH, 2)
    device.write(0, Hid.COMMAND, 4)
    expect(seen.entries).toEqual([3, 0, 1, 9, 8])
    expect(device.get(Hid.RESULT)).toBe(1)
    device.write(0, Hid.COMMAND, 1) // OUTPUT is empty, LENGTH is not
    expect(device.get(Hid.RESULT)).toBe(5)
    device.write(0, Hid.COMMAND, 3)
    expect(device.get(Hid.RESULT)).toBe(5)
    device.write(0, Hid.REPORT_ID, 2)
    device.write(0, Hid.COMMAND, 4)
    expect([device.get(Hid.RESULT), device.get(Hid.COMPLETED)]).toEqual([3, 4])
  })
})
