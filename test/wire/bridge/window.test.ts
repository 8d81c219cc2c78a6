import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { retransmitTicksOf } from '../../../wire/bridge/talk.ts'
import { MOST_WINDOW, ReceiveWindow, SendWindow, USUAL_WINDOW } from '../../../wire/bridge/window.ts'

const BODY = new Uint8Array(1)

describe('a send window', () => {
  test('has room for as many lines as the other side takes', () => {
    const window = new SendWindow(USUAL_WINDOW)
    const sequences: number[] = []
    const fill = (): void => {
      while (window.hasRoom) {
        sequences.push(window.nextSequence)
        window.put(BODY, 0)
      }
    }
    fill()
    expect(sequences).toEqual([0, 1, 2, 3])
    window.size = 6
    fill()
    expect(sequences).toEqual([0, 1, 2, 3, 4, 5])
  })

  test('takes no acknowledgement of what was not sent', () => {
    const window = new SendWindow(MOST_WINDOW)
    window.put(BODY, 0)
    expect(window.acknowledge(2 << 2)).toBe(null)
    expect(window.acknowledge(15 << 2)).toBe(null)
    expect(window.acknowledge(1 << 2)?.length).toBe(1)
  })

  test('sends a line again that the other side has let go of', () => {
    const window = new SendWindow(USUAL_WINDOW)
    while (window.hasRoom) window.put(BODY, 0)
    const held = (): boolean[] => window.out.map(({ isHeld }) => isHeld)
    window.acknowledge(0b0000_11)
    expect(held()).toEqual([false, true, true, false])
    window.acknowledge(0b0001_01) // the one that is waited for could not be carried out
    expect(held()).toEqual([false, true, false])
    window.acknowledge(0b0010_00)
    expect(held()).toEqual([false, false])
  })
})

describe('the windows of one direction', () => {
  const sizes = [1, USUAL_WINDOW, MOST_WINDOW]
  test.for(sizes)('of %i lines hand everything over once and in order, whatever is lost or comes twice', (size) => {
    const step = fc.record({ which: fc.nat(), arrives: fc.boolean(), acknowledged: fc.boolean() })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
        const sent = new SendWindow(size)
        const received = new ReceiveWindow<number>(size)
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
    const window = new ReceiveWindow<string>(USUAL_WINDOW)
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
    [115_200, 4, 20.4],
    [1_000_000, 4, 5],
    [1_000_000, 1, 5],
    [1_000_000, 15, 10.5],
    [9600, 4, 211.3],
    [0, 4, 3],
    [0, 15, 3],
  ] as const)('at %i baud, with %i lines out, is %f ms', ([baud, window, milliseconds]) => {
    expect(retransmitTicksOf(baud, window) / 10_000).toBeCloseTo(milliseconds, 1)
  })
})
