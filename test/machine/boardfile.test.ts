/** Board files: what is wrong with one is told with its file, its place and a remedy. */
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readBoardFile } from '../../machine/boardfile.ts'
import { boardPlan, layoutsOf, placedLines } from '../../machine/boardplan.ts'
import { boardJsonSchema } from '../../machine/boardschema.ts'
import { unboundedReason } from '../../machine/boundedpattern.ts'
import { UsageError } from '../../machine/errors.ts'

const BOARDS = fileURLToPath(new URL('../../boards', import.meta.url))
const names = readdirSync(BOARDS, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name)

/** What is wrong with a file. */
function faultOf(content: unknown): string {
  try {
    readBoardFile(content as object)
  } catch (error) {
    if (error instanceof UsageError) return error.message
    throw error
  }
  return 'nothing'
}

const raw = (change: object) => ({
  name: 'x',
  devices: [{ name: 'd', hardwareIds: ['a'], registers: [{ name: 'R', offset: 0, kind: 'count' }], ...change }],
})
const gpio = (...lines: object[]) => ({ name: 'x', devices: [{ name: 'g', class: 'gpio', lines }] })
const text = (match: string) => ({ name: 'x', devices: [{ name: 't', class: 'lines', patterns: { p: { match } } }] })

describe('the boards of the project', () => {
  test.each(names)('%s is valid', (name) => {
    expect(readBoardFile(name).name).toBe(name)
  })

  test('the published JSON schema is that which files are checked with (node scripts/schema.ts writes it)', () => {
    const published: unknown = JSON.parse(readFileSync(`${BOARDS}/board.schema.json`, 'utf8'))
    expect(published).toEqual(boardJsonSchema())
  })

  test('the Uno’s chips get the controller’s window and line shared, and their own line alone', () => {
    const { devices } = boardPlan(readBoardFile('arduino-uno'), 1, 'uno-0')
    const [i2c, pins] = devices
    expect(i2c?.grants).toEqual([{ line: 0, shared: true }])
    expect(
      i2c?.children?.map(({ name, address, grants, parameters }) => ({ name, address, grants, parameters })),
    ).toEqual([
      {
        name: 'tmp102',
        address: 0x48,
        grants: [
          { line: 0, shared: true },
          { line: 3, shared: false },
        ],
        parameters: { Address: 0x48, BusEvent: 'uno-0-i2c0' },
      },
      {
        name: 'at24',
        address: 0x50,
        grants: [{ line: 0, shared: true }],
        parameters: { Address: 0x50, BusEvent: 'uno-0-i2c0', Bytes: 32768, PageBytes: 64 },
      },
    ])
    expect(pins?.grants?.map(({ line }) => line)).toEqual([1, 2]) // alert is the chip's
  })

  test('a pin that is a line of its own counts there and not with the others', () => {
    const [, pins] = layoutsOf(readBoardFile('arduino-uno'))
    const [shared, button] = pins?.lines ?? []
    expect(button?.snapshot).toEqual(['EDGES_2'])
    expect(shared?.snapshot).toContain('EDGES_4')
    expect(shared?.snapshot).not.toContain('EDGES_2')
  })

  test('patterns and fields are lines behind the class’s own', () => {
    const lines = placedLines(layoutsOf(readBoardFile('serial-text'))).map(({ line }) => line.name)
    expect(lines).toEqual(['data', 'transmit', 'button', 'temperature'])
    const pad = placedLines(layoutsOf(readBoardFile('hid-gamepad'))).map(({ line }) => line.name)
    expect(pad.slice(0, 4)).toEqual(['data', 'complete', 'x', 'y'])
  })
})

describe('a file that is wrong', () => {
  test.each([
    ['a file that is not there', 'nowhere', /board 'nowhere': there is no file .*board\.json; give a name/],
    ['no device', { name: 'x', devices: [] }, /devices: it must be at least 1 entries long/],
    ['a key too many', raw({ colour: 'red' }), /devices\[0\] 'd': there is no 'colour' here; leave it out/],
    ['a missing name', { devices: [{ name: 'd', hardwareIds: ['a'] }] }, /name: it is missing; write a string/],
    [
      'a wrong kind',
      raw({ registers: [{ name: 'R', offset: 0, kind: 'rw' }] }),
      /registers\[0\] 'R', kind: it must be one of control, status/,
    ],
    [
      'a bad offset',
      raw({ registers: [{ name: 'R', offset: 6, kind: 'count' }] }),
      /offset: it must be a multiple of 4/,
    ],
    [
      'a DIRQL too high',
      gpio({ name: 'a', pin: 1, mode: 'level', dirql: 12 }),
      /lines\[0\] 'a', dirql: it must be at most 11/,
    ],
    ['an unknown link', { ...raw({}), link: { kind: 'telepathy' } }, /link, kind: it must be/],
    [
      'neither class nor ids',
      { name: 'x', devices: [{ name: 'd' }] },
      /device 'd': it has neither class nor hardwareIds; give it/,
    ],
    [
      'two devices of a name',
      {
        name: 'x',
        devices: [
          { name: 'd', class: 'adc' },
          { name: 'd', class: 'adc' },
        ],
      },
      /two devices are named 'd'/,
    ],
    [
      'registers in one place',
      raw({
        registers: [
          { name: 'A', offset: 0, kind: 'count' },
          { name: 'B', offset: 0, kind: 'count' },
        ],
      }),
      /two registers are at offset 0/,
    ],
    [
      'a class’s registers',
      { name: 'x', devices: [{ name: 'd', class: 'adc', registers: [{ name: 'A', offset: 0, kind: 'count' }] }] },
      /class adc has its registers/,
    ],
    [
      'a snapshot of nothing',
      raw({ lines: [{ name: 'l', mode: 'level', snapshot: ['Q'] }] }),
      /line 'l' has 'Q' in its snapshot; it must be a status or count register/,
    ],
    [
      'a register in two snapshots',
      raw({
        lines: [
          { name: 'l', mode: 'level', snapshot: ['R'] },
          { name: 'm', mode: 'level', snapshot: ['R'] },
        ],
      }),
      /'R' is in the snapshots of 'l' and 'm'/,
    ],
    ['a line without its pin', gpio({ name: 'a', mode: 'level' }), /line 'a' needs a pin: "pin": 2/],
    [
      'a pin twice',
      gpio({ name: 'a', pin: 1, mode: 'level' }, { name: 'b', pin: 1, mode: 'level' }),
      /two lines watch pin 1/,
    ],
    ['a level of both', gpio({ name: 'a', pin: 1, mode: 'level', active: 'both' }), /'active' must be 'low' or 'high'/],
    [
      'a reset of nothing',
      { name: 'x', devices: [{ name: 'd', class: 'adc', reset: { LOUD: 1 } }] },
      /there is no register 'LOUD'; there are CONTROL/,
    ],
    [
      'a link without protocol',
      { ...raw({}), link: { kind: 'serial' } },
      /it has a link and no protocol; say what its bytes mean/,
    ],
    [
      'text over HID',
      { ...text('a'), link: { kind: 'hid' }, protocol: 'text' },
      /protocol text goes over serial, not over hid/,
    ],
    [
      'a uart of two devices',
      {
        name: 'x',
        link: { kind: 'serial' },
        protocol: 'uart',
        devices: [
          { name: 'a', class: 'uart' },
          { name: 'b', class: 'adc' },
        ],
      },
      /carries one device of class uart/,
    ],
    [
      'a child’s line that is not',
      {
        name: 'x',
        devices: [
          { name: 'i', class: 'i2c', children: [{ name: 'c', address: 1, hardwareIds: ['a'], lines: ['irq'] }] },
        ],
      },
      /child 'i\.c' wants line 'irq', which there is not; there are i\.done/,
    ],
    [
      'two chips at an address',
      {
        name: 'x',
        devices: [
          {
            name: 'i',
            class: 'i2c',
            children: [
              { name: 'c', address: '0x48', hardwareIds: ['a'] },
              { name: 'd', address: 72, hardwareIds: ['a'] },
            ],
          },
        ],
      },
      /two children are at address 0x48/,
    ],
    ['no regular expression', text('(a'), /pattern 'p' \(\(a\): it is no regular expression/],
    ['a pattern without an end', text('^(a+)+$'), /pattern 'p' .*: it repeats what itself repeats/],
    [
      'patterns elsewhere',
      { name: 'x', devices: [{ name: 'd', class: 'adc', patterns: { p: { match: 'a' } } }] },
      /'patterns' are for class lines only/,
    ],
  ])('%s is told', (_name, content, message) => {
    expect(faultOf(content)).toMatch(message)
  })

  test('a file that is no JSON is told with its path', () => {
    expect(() => readBoardFile(import.meta.filename.replace(/\.ts$/, '.json'))).toThrow(
      /there is no file .*boardfile\.test\.json/,
    )
  })

  test('whatever a file holds, it is read or told', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 5 }), (content) => {
        if (typeof content === 'object' && content !== null) faultOf(content)
      }),
      { numRuns: 300 },
    )
  })

  test('whatever an almost right file holds, it is read or told', () => {
    const any = fc.oneof(
      fc.integer(),
      fc.string(),
      fc.constantFrom('i2c', 'gpio', 'lines', 'hid', 'level', 'R', 'alert'),
    )
    const entry = fc.dictionary(
      fc.constantFrom(
        'name',
        'pin',
        'mode',
        'active',
        'dirql',
        'snapshot',
        'match',
        'byte',
        'bits',
        'offset',
        'kind',
        'of',
      ),
      any,
    )
    const device = fc.record(
      {
        name: fc.constantFrom('a', 'b'),
        class: fc.constantFrom('i2c', 'gpio', 'lines', 'hid'),
        hardwareIds: fc.constant(['x']),
        lines: fc.array(entry, { maxLength: 3 }),
        registers: fc.array(entry, { maxLength: 3 }),
        patterns: fc.dictionary(
          fc.constantFrom('p', 'q'),
          fc.record({ match: fc.string({ minLength: 1, maxLength: 40 }) }),
        ),
        fields: fc.dictionary(fc.constantFrom('p', 'q'), entry),
        children: fc.array(entry, { maxLength: 2 }),
      },
      { requiredKeys: ['name'] },
    )
    fc.assert(
      fc.property(fc.array(device, { minLength: 1, maxLength: 3 }), (devices) => {
        faultOf({ name: 'x', devices })
      }),
      { numRuns: 500 },
    )
  })
})

describe('patterns', () => {
  test.each([
    '^BTN ([01])',
    '^T=(-?[0-9.]+)',
    '^(\\d+),(\\d+),(\\d+),(\\d+),(\\d+)$',
    'state: (on|off|idle)',
    '.*error',
    'x{3}',
    '^.*,.*,(\\d+)',
    '.*,.*,x',
  ])('%s ends in good time', (match) => {
    expect(unboundedReason(match)).toBeNull()
  })

  test.each([
    '(a+)+$',
    '(a|a)*b',
    '(a?){30}a{30}',
    '(.*)\\1',
    '(?=a)',
    '.*.*.*x',
    'a+.*a*(?:b)',
    '.*,.*,(\\d+)',
    '^x|.*,.*,(\\d+)',
    '\\d+\\d+\\d+\\d+$',
    'a?a?a?a?a?aaaaa',
    '(a|a)(a|a)(a|a)(a|a)(a|a)(a|a)(a|a)(a|a)(a|a)(a|a)(a|a)b',
    '((a{2}){2}){2}',
  ])('%s is refused', (match) => {
    expect(unboundedReason(match)).not.toBeNull()
  })

  // The worst take most of a second on an idle host, those that are refused hours.
  test('one that is let in ends in seconds on the longest line', () => {
    const part = fc.constantFrom(
      'a',
      '.',
      '\\d',
      '[ab]',
      '(a)',
      '(?:b)',
      'a*',
      '.*',
      'a+',
      'b?',
      '(ab)',
      '(a|b)',
      '^',
      '$',
      '.{0,9}',
      '(ab)*',
    )
    const lines = ['a'.repeat(256), 'ab'.repeat(128), `${'a'.repeat(255)}!`]
    fc.assert(
      fc.property(fc.array(part, { minLength: 1, maxLength: 12 }), (parts) => {
        const match = parts.join('')
        if (unboundedReason(match) !== null) return
        const expression = new RegExp(match, 'u')
        const start = process.hrtime.bigint()
        for (const line of lines) expression.exec(line)
        expect(Number(process.hrtime.bigint() - start) / 1e9).toBeLessThan(10)
      }),
      { numRuns: 500 },
    )
  })
})
