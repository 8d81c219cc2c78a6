import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decode, encode, hasGoodChecksum, isSequenced, prefixOf } from '../../../wire/bridge/codec.ts'
import { CRC_START, crcOf, crcOver } from '../../../wire/bridge/crc.ts'
import { BOARD_LINE, HOST_LINE, type Message, type Told } from '../../../wire/bridge/messages.ts'
import { BOOT, NONCE, type Prefixed, SAMPLES } from './samples.ts'

const golden = (name: string): string[] =>
  readFileSync(new URL(`../golden/${name}`, import.meta.url), 'latin1')
    .split('\n')
    .filter((row) => row !== '' && !row.startsWith('#'))
const ascii = (text: string): Uint8Array => Uint8Array.from(text, (character) => character.charCodeAt(0))
const PREFIXES: Record<Prefixed, number> = {
  none: prefixOf(),
  nonce: prefixOf(NONCE),
  session: prefixOf(NONCE, BOOT),
}
const FIELDS: Record<Prefixed, string> = { none: '- -', nonce: '1a2b3c4d -', session: '1a2b3c4d 7' }

describe('golden lines', () => {
  test('are what the samples encode to, byte for byte', () => {
    const rows = SAMPLES.map((sample) => {
      const bytes = encode(sample, PREFIXES[sample.prefixed])
      return `${FIELDS[sample.prefixed]} ${new TextDecoder().decode(bytes).trimEnd()}`
    })
    expect(rows).toEqual(golden('lines.txt'))
  })

  test('decode to the samples', () => {
    const lines = golden('lines.txt').map((row, index) => {
      const bytes = ascii(row.split(' ').slice(2).join(' '))
      const { prefixed } = SAMPLES[index]!
      expect(hasGoodChecksum(bytes, bytes.length, PREFIXES[prefixed]), row).toBe(true)
      return { ...decode(bytes, bytes.length), prefixed }
    })
    expect(lines).toEqual(SAMPLES)
  })

  test('of the example are those of docs/wire.md', () => {
    const page = readFileSync(new URL('../../../docs/wire.md', import.meta.url), 'utf8')
    const shown = page.split('\n').filter((row) => /^[<>] /.test(row))
    const rows = golden('session.txt')
    expect(shown.length).toBe(rows.length)
    for (const [index, row] of rows.entries()) expect(shown[index]!.startsWith(`${row} `), row).toBe(true)
  })

  test('that are wrong are dropped', () => {
    const carriedOut = golden('wrong.txt').filter((row) => {
      const bytes = ascii(row)
      return hasGoodChecksum(bytes, bytes.length, PREFIXES.session) && !('fault' in decode(bytes, bytes.length))
    })
    expect(carriedOut).toEqual([])
  })
})

const word = fc.integer({ min: 0, max: 0xffffffff })
const digit = fc.integer({ min: 0, max: 63 })
const offset = fc.integer({ min: 0, max: 0x1ff }).map((register) => register * 4)
const text = (most: number) =>
  fc.array(fc.integer({ min: 0x20, max: 0x7e }), { maxLength: most }).map((codes) => String.fromCharCode(...codes))
const byte = fc.integer({ min: 0, max: 255 })
const snapshot: fc.Arbitrary<Told[]> = fc.array(fc.record({ offset, value: word, isMore: fc.boolean() }), {
  maxLength: 3,
})
const kind = <K extends string>(value: K) => fc.constant(value)
const host: fc.Arbitrary<Message> = fc.oneof(
  fc.record({ kind: kind('H'), version: digit, nonce: word }),
  fc.record({ kind: kind('W'), device: digit, offset, value: word }),
  fc.record({ kind: kind('D'), device: digit, offset, bytes: fc.array(byte, { minLength: 1, maxLength: 16 }) }),
  fc.record({ kind: kind('R'), device: digit, offset }),
  fc.record({ kind: kind('E'), line: digit, frame: digit }),
  fc.record({ kind: kind('L'), line: digit }),
  fc.record({ kind: kind('M'), line: digit }),
  fc.record({ kind: kind('C'), device: digit, offset, count: word }),
  fc.record({ kind: kind('A') }),
)
const board: fc.Arbitrary<Message> = fc.oneof(
  fc.record({ kind: kind('b'), version: digit, bootCount: word }),
  fc.record({ kind: kind('h'), version: digit, bootCount: word }),
  fc.record({ kind: kind('t'), text: text(16) }),
  fc.record({ kind: kind('i'), line: digit, frame: digit, time: word, edges: word, snapshot }),
  fc.record({ kind: kind('s'), line: digit, snapshot: snapshot.filter((told) => told.length > 0) }),
  fc.record({ kind: kind('d'), device: digit, offset, bytes: fc.array(byte, { minLength: 1, maxLength: 16 }) }),
  fc.record({ kind: kind('w'), device: digit, offset, values: fc.array(word, { minLength: 1, maxLength: 4 }) }),
  fc.record({ kind: kind('r'), value: word }),
  fc.record({ kind: kind('e'), code: byte, text: text(48) }),
  fc.record({ kind: kind('l'), text: text(48) }),
  fc.record({ kind: kind('a') }),
)

/** A line as its decoder gives it back. */
const asLine = (message: Message, sequence: number, ack: number) => {
  const sequenced = isSequenced(message.kind)
  const isAck = message.kind === 'A' || message.kind === 'a'
  return { message, sequence: sequenced ? sequence : 0, ack: sequenced || isAck ? ack : -1 }
}

describe('a line', () => {
  test('decodes to what it was encoded from, and is no longer than its side may send', () => {
    fc.assert(
      fc.property(fc.oneof(host, board), digit, digit, word, word, (message, sequence, ack, nonce, boot) => {
        const line = asLine(message, sequence, ack)
        const prefix = prefixOf(nonce, boot)
        const bytes = encode(line, prefix)
        expect(bytes.at(-1)).toBe(0x0a)
        expect(bytes.length).toBeLessThanOrEqual(message.kind < 'a' ? HOST_LINE : BOARD_LINE)
        expect(bytes.subarray(0, -1).every((code) => code >= 0x20 && code <= 0x7e)).toBe(true)
        expect(hasGoodChecksum(bytes, bytes.length - 1, prefix)).toBe(true)
        expect(decode(bytes, bytes.length - 1)).toEqual(line)
      }),
      { numRuns: 2000 },
    )
  })

  test('fails its checksum when four neighbouring bytes or fewer are changed', () => {
    const change = fc.record({ at: fc.nat(), bytes: fc.array(byte, { minLength: 1, maxLength: 4 }) })
    fc.assert(
      fc.property(fc.oneof(host, board), change, (message, { at, bytes: changes }) => {
        const bytes = encode(asLine(message, 1, 2), PREFIXES.session)
        const from = at % (bytes.length - 1)
        const damaged = bytes.slice()
        damaged.set(changes.slice(0, bytes.length - 1 - from), from)
        fc.pre(!damaged.every((code, index) => code === bytes[index]))
        expect(hasGoodChecksum(damaged, damaged.length - 1, PREFIXES.session)).toBe(false)
      }),
      { numRuns: 2000 },
    )
  })

  test('of another session fails its checksum', () => {
    fc.assert(
      fc.property(fc.oneof(host, board), word, word, (message, nonce, boot) => {
        fc.pre(nonce !== NONCE || boot !== BOOT)
        const bytes = encode(asLine(message, 1, 2), prefixOf(nonce, boot))
        expect(hasGoodChecksum(bytes, bytes.length - 1, PREFIXES.session)).toBe(false)
      }),
    )
  })

  test('of any bytes with a good checksum is a line that encodes to something, or a fault', () => {
    const characters = fc.oneof(
      fc.integer({ min: 0x20, max: 0x7e }),
      fc.constantFrom(...ascii('0123456789abcdef=,+*WDREHitsdw')),
    )
    fc.assert(
      fc.property(fc.array(characters, { minLength: 1, maxLength: 60 }), (codes) => {
        const bytes = Uint8Array.from([...codes, ...ascii('000000')])
        const line = decode(bytes, bytes.length)
        const isEither = 'fault' in line ? /^(malformed|unknown)$/.test(line.fault) : encode(line, 0).length > 7
        expect(isEither).toBe(true)
      }),
      { numRuns: 5000 },
    )
  })
})

describe('the checksum', () => {
  test("is zlib's", () => {
    const bytes = ascii('123456789')
    expect(crcOf(crcOver(CRC_START, bytes, 0, 9))).toBe(0xcbf43926)
  })

  test('has its prefix lowest byte first', () => {
    const bytes = Uint8Array.of(0x4d, 0x3c, 0x2b, 0x1a, 7, 0, 0, 0)
    expect(prefixOf(NONCE, BOOT)).toBe(crcOver(CRC_START, bytes, 0, 8))
  })
})
