import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { retransmitTicksOf } from '../../../wire/bridge/talk.ts'
import { ReceiveWindow, SendWindow, WINDOW } from '../../../wire/bridge/window.ts'

const BODY = new Uint8Array(1)

describe('a send window', () => {
  test('has room for four lines', () => {
    const window = new SendWindow()
    const sequences: number[] = []
    while (window.hasRoom) {
      sequences.push(window.nextSequence)
      window.put(BODY, 0)
    }
    expect(sequences).toEqual([0, 1, 2, 3])
  })

  test('takes no acknowledgement of what was not sent', () => {
    const window = new SendWindow()
    window.put(BODY, 0)
    expect(window.acknowledge(2 << 3)).toBe(null)
    expect(window.acknowledge(7 << 3)).toBe(null)
    expect(window.acknowledge(1 << 3)?.length).toBe(1)
  })

  test('sends a line again that the other side has let go of', () => {
    const window = new SendWindow()
    for (let count = 0; count < WINDOW; count++) window.put(BODY, 0)
    window.acknowledge(0b000_110)
    expect(window.out.map(({ isHeld }) => isHeld)).toEqual([false, false, true, true])
    window.acknowledge(0b010_000)
    expect(window.out.map(({ isHeld }) => isHeld)).toEqual([false, false])
  })
})

describe('the windows of one direction', () => {
  test('hand everything over once and in order, whatever is lost or comes twice', () => {
    const step = fc.record({ which: fc.nat(), arrives: fc.boolean(), acknowledged: fc.boolean() })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
        const sent = new SendWindow()
        const received = new ReceiveWindow<number>()
        const arrived: number[] = []
        let [made, ended] = [0, 0]
        for (const { which, arrives, acknowledged } of steps) {
          while (sent.hasRoom) {
            sent.put(Uint8Array.of(made >> 8, made & 0xff), 0)
            made += 1
          }
          const index = which % sent.out.length
          const { body, isHeld } = sent.out[index]!
          expect(isHeld && index === 0).toBe(false)
          const value = body[0]! * 256 + body[1]!
          if (arrives && received.place((ended + index) & 63, value) === 'next') {
            for (let next: number | null = value; next !== null; next = received.advance()) arrived.push(next)
          }
          if (acknowledged) ended += sent.acknowledge(received.acknowledgement)!.length
        }
        expect(arrived).toEqual(Array.from({ length: arrived.length }, (_, value) => value))
      }),
    )
  })

  test('tell a line of long ago from one that comes too early', () => {
    const window = new ReceiveWindow<string>()
    expect([window.place(0, ''), window.advance()]).toEqual(['next', null])
    expect([0, 61, 4, 5, 60].map((sequence) => window.place(sequence, ''))).toEqual([
      'duplicate',
      'duplicate',
      'held',
      'outside',
      'outside',
    ])
  })
})

describe('the retransmission time', () => {
  test.for([
    [115_200, 20.4],
    [1_000_000, 5],
    [9600, 211.3],
    [0, 3],
  ] as const)('at %i baud is %f ms', ([baud, milliseconds]) => {
    expect(retransmitTicksOf(baud) / 10_000).toBeCloseTo(milliseconds, 1)
  })
})
