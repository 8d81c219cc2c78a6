import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Lines, linesClass, patternLine, patternOffset, patternRegisters } from '../../classes/lines.ts'
import { LineCutter, matchesOf, TextDevice } from '../../wire/text.ts'
import { ascii, layoutOf, Seen } from './seen.ts'

const PATTERNS = [
  { name: 'button', match: '^BTN ([01])', scale: 1, dirql: 5 },
  { name: 'temperature', match: '^T=(-?[0-9.]+) (0x[0-9a-f]+)?', scale: 1000, dirql: 4 },
]

function sketch(patterns = PATTERNS) {
  const seen = new Seen()
  const did: string[] = []
  const layout = layoutOf(linesClass, {
    registers: patterns.flatMap(patternRegisters),
    lines: patterns.map(patternLine),
  })
  const port = { now: () => 0, send: () => {}, pause: () => did.push('pause'), resume: () => did.push('resume') }
  const device = new TextDevice(layout, port, patterns)
  device.connect(seen)
  for (let line = 0; line < 4; line++) device.enableLine(line)
  return { device, seen, did }
}

describe('text lines', () => {
  test('end with CR, LF or both, and empty ones are none', () => {
    const cutter = new LineCutter()
    const lines = cutter.take(ascii('a\r\n\r\nbc\rd\n\n\ne'))
    expect(lines.map(({ bytes }) => new TextDecoder().decode(bytes))).toEqual(['a', 'bc', 'd'])
  })

  test('are the same however the bytes are cut', () => {
    const pieces = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 20 })
    fc.assert(
      fc.property(pieces, (cut) => {
        const inPieces = new LineCutter()
        const whole = Uint8Array.from(cut.flatMap((piece) => [...piece]))
        expect(cut.flatMap((piece) => inPieces.take(piece))).toEqual(new LineCutter().take(whole))
      }),
    )
  })

  test('of more than 256 bytes are cut and counted', () => {
    const { device, seen } = sketch([])
    device.credit(0, Lines.DATA, 4096)
    device.receive(ascii(`${'x'.repeat(1000)}\nshort\n`))
    expect(seen.text).toBe(`${'x'.repeat(256)}\nshort\n`)
    device.endOfInterrupt(0, 0)
    expect(seen.of(0).at(-1)).toBe('1: 2 [2 263 1]')
  })

  test('come whole or not at all, and the port waits', () => {
    const { device, seen, did } = sketch([])
    device.credit(0, Lines.DATA, 7)
    device.receive(ascii('abc\ndefg\n'))
    expect([seen.text, did.at(-1)]).toEqual(['abc\n', 'pause'])
    device.credit(0, Lines.DATA, 4)
    expect([seen.text, did.at(-1)]).toEqual(['abc\ndefg\n', 'resume'])
  })
})

describe('a pattern', () => {
  test('interrupts, and leaves its groups in registers', () => {
    const { device, seen } = sketch()
    device.credit(0, Lines.DATA, 4096)
    device.receive(ascii('BTN 1\nT=-23.45 0x10\nnothing\nBTN 0\n'))
    expect(seen.of(2)).toEqual(['0: 1 [1 1]'])
    device.endOfInterrupt(2, 0)
    expect(seen.of(2)[1]).toBe('1: 2 [2 0]')
    expect(seen.of(3)).toEqual([`0: 1 [1 ${(-23_450 >>> 0).toString()} 16000]`])
    expect(device.get(patternOffset(1))).toBe(1)
  })

  test('sees what is no UTF-8 as U+FFFD', () => {
    const patterns = [{ expression: /^a\ufffdb$/u, scale: 1 }]
    expect(matchesOf(patterns, Uint8Array.of(0x61, 0xff, 0x62)).length).toBe(1)
  })

  test('tells 0 for a group that is no number or did not match', () => {
    const patterns = [{ expression: /^(x)(y)?/u, scale: 1 }]
    expect(matchesOf(patterns, ascii('xz'))).toEqual([{ index: 0, values: [0, 0] }])
  })
})
