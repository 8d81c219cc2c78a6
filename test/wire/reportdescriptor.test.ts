import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  parseReportDescriptor,
  placeOf,
  type ReportDescriptor,
  ReportDescriptorError,
  reportBytes,
} from '../../wire/reportdescriptor.ts'

const bytes = (text: string): Uint8Array =>
  Uint8Array.from(text.trim().split(/\s+/), (pair) => Number.parseInt(pair, 16))

/** The boot mouse of HID 1.11, appendix E.10. */
const MOUSE = bytes(`05 01 09 02 a1 01 09 01 a1 00 05 09 19 01 29 03 15 00 25 01 95 03 75 01 81 02 95 01 75 05 81 01
  05 01 09 30 09 31 15 81 25 7f 75 08 95 02 81 06 c0 c0`)
/** A gamepad with two reports and an output. */
const PAD = bytes(`05 01 09 05 a1 01 85 01 05 09 19 01 29 0c 15 00 25 01 75 01 95 0c 81 02 75 04 95 01 81 03
  85 02 05 01 09 30 16 00 80 26 ff 7f 75 10 95 01 81 02 85 03 09 01 75 08 95 3f 91 02 c0`)

/** No fields for a descriptor that is refused as it should be; throws on any other failure. */
function parsedOrRefused(descriptor: Uint8Array): ReportDescriptor {
  try {
    return parseReportDescriptor(descriptor)
  } catch (error) {
    if (error instanceof ReportDescriptorError) return { isNumbered: false, fields: [] }
    throw error
  }
}

describe('a report descriptor', () => {
  test('tells where each usage lies', () => {
    const mouse = parseReportDescriptor(MOUSE)
    expect(mouse.isNumbered).toBe(false)
    expect(placeOf(mouse, 9, 2)).toEqual({ report: 0, byte: 0, bit: 1, bits: 1, signed: false })
    expect(placeOf(mouse, 1, 0x31)).toEqual({ report: 0, byte: 2, bit: 0, bits: 8, signed: true })
    expect(placeOf(mouse, 1, 0x32)).toBe(null)
    expect(reportBytes(mouse, 'input', 0)).toBe(3)
  })

  test('with report ids tells them apart', () => {
    const pad = parseReportDescriptor(PAD)
    expect(pad.isNumbered).toBe(true)
    expect(placeOf(pad, 9, 12)).toEqual({ report: 1, byte: 1, bit: 3, bits: 1, signed: false })
    expect(placeOf(pad, 1, 0x30)).toEqual({ report: 2, byte: 0, bit: 0, bits: 16, signed: true })
    expect([reportBytes(pad, 'input', 1), reportBytes(pad, 'input', 2), reportBytes(pad, 'output', 3)]).toEqual([
      2, 2, 63,
    ])
  })

  test.for([
    ['05', 'byte 0: its last item is cut off'],
    ['a1 01', 'byte 2: a collection is not ended'],
    ['c0', 'byte 0: a collection ends that was not begun'],
    ['b4', 'byte 0: a state is popped that was not pushed'],
    ['85 00', 'byte 0: report id 0; it must be 1 to 255'],
    ['29 03', 'byte 0: a usage maximum has no minimum'],
    ['75 08 97 ff ff ff ff 81 02', 'byte 7: input report 0 has more than 1024 bytes'],
    ['75 08 95 01 81 02 85 01', 'byte 6: some reports have an id'],
    ['fe 05 00', 'byte 0: its last item is cut off'],
    [Array(40).fill('a1 01').join(' '), 'byte 64: more than 32 collections are nested'],
    [Array(40).fill('a4').join(' '), 'byte 32: more than 32 states are pushed'],
    [Array(5000).fill('00').join(' '), 'it has 5000 bytes; 4096 are the most'],
  ])('%s is refused, with the place and the reason', ([text, reason]) => {
    expect(() => parseReportDescriptor(bytes(text!))).toThrow(reason)
  })

  test('of any bytes is parsed, or refused with a ReportDescriptorError', () => {
    const anything = fc.uint8Array({ maxLength: 100 })
    const items = fc
      .array(fc.tuple(fc.constantFrom(...MOUSE, ...PAD, 0x97, 0x77), fc.nat(255)), { maxLength: 60 })
      .map((pairs) => Uint8Array.from(pairs.flat()))
    fc.assert(
      fc.property(fc.oneof(anything, items), (descriptor) => {
        const parsed = parsedOrRefused(descriptor)
        for (const { kind, id, usages } of parsed.fields) {
          expect(reportBytes(parsed, kind, id)).toBeLessThanOrEqual(1024)
          expect(usages.length).toBeLessThanOrEqual(256)
        }
      }),
      { numRuns: 5000 },
    )
  })
})
