import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { damage } from '../../../firmware-sim/faults.ts'
import { encode, isSequenced, prefixOf } from '../../../wire/bridge/codec.ts'
import { BridgeHost } from '../../../wire/bridge/host.ts'
import { identityPieces, readIdentity } from '../../../wire/bridge/identity.ts'
import type { Message } from '../../../wire/bridge/messages.ts'
import { Bench, openBench } from './bench.ts'

describe('hello', () => {
  test('tells what the board is, and the board what a new session is', () => {
    const bench = new Bench()
    bench.device.start()
    expect(bench.open()).toEqual({
      isOpen: true,
      identity: {
        firmware: 'sim',
        version: '1.0.0',
        uniqueId: '4e55',
        window: 15,
        devices: [
          { class: 'i2c', version: 1, lines: 1 },
          { class: 'gpio', version: 1, lines: 3 },
        ],
      },
    })
    expect(bench.seen.begun).toBe(1)
  })

  test('is said again while a boot loader does not listen', () => {
    const bench = new Bench()
    bench.world.after(2 * 10_000_000, () => bench.device.start())
    let isOpen = false
    bench.host.open((opened) => {
      isOpen = opened.isOpen
    })
    bench.toBoard.setFaults({ lost: 1 })
    bench.pass(1900)
    bench.toBoard.setFaults({})
    bench.pass(200)
    expect(isOpen).toBe(true)
  })

  test('is given up after three seconds', () => {
    const bench = new Bench({ faults: { lost: 1 } })
    const opened = bench.open()
    expect(opened).toEqual({ isOpen: false, reason: expect.stringContaining('nothing answers') })
    expect(bench.now / 10_000).toBeGreaterThanOrEqual(3000)
    expect(bench.now / 10_000).toBeLessThan(3100)
  })

  test('of another version is answered with the own one, and no session begins', () => {
    const bench = new Bench()
    const line = encode({ message: { kind: 'H', version: 2, nonce: 1 }, sequence: 0, ack: -1 }, prefixOf())
    bench.device.receive(line)
    expect(bench.said.at(-1)).toMatch(/^< h17/)
    expect(bench.device.hasSession).toBe(false)
  })

  test.for([
    [2, 'speaks version 2 of the bridge protocol, and this is version 1: use a newer dirql'],
    [0, 'speaks version 0 of the bridge protocol, and this is version 1: put newer firmware on the board'],
  ] as const)('answered by version %i says which side is to be renewed', ([version, reason]) => {
    const bench = new Bench()
    let told = ''
    bench.host.open((opened) => {
      told = opened.isOpen ? 'open' : opened.reason
    })
    bench.host.receive(encode({ message: { kind: 'b', version, bootCount: 1 }, sequence: 0, ack: -1 }, prefixOf()))
    expect(told).toContain(reason)
  })

  test.for([
    [[{ class: 'i2c', version: 1, lines: 1 }], 'has 2 devices, and the board file 1'],
    [
      [
        { class: 'i2c', version: 1, lines: 1 },
        { class: 'adc', version: 1, lines: 3 },
      ],
      'device 1: it is of class gpio, and in the board file of class adc',
    ],
    [
      [
        { class: 'i2c', version: 2, lines: 1 },
        { class: 'gpio', version: 1, lines: 3 },
      ],
      'device 0: it is of version 1 of class i2c, and version 2 is needed: put newer firmware on the board',
    ],
    [
      [
        { class: 'i2c', version: 1, lines: 1 },
        { class: 'gpio', version: 1, lines: 2 },
      ],
      'device 1: it is a gpio with 3 interrupt lines, and in the board file with 2',
    ],
  ] as const)('finds a board that is not the board file’s: %#', ([devices, reason]) => {
    const bench = new Bench({ host: { devices } })
    bench.device.start()
    expect(bench.open()).toEqual({ isOpen: false, reason: expect.stringContaining(reason) })
  })

  test.for([1, 4, 7, 15])('tells that the board takes %i lines at once, and no more are out', (window) => {
    const bench = new Bench({ device: { window } })
    bench.device.start()
    expect(bench.open()).toMatchObject({ identity: { window } })
    for (let value = 0; value < 40; value++) bench.host.write(0, 4, value)
    expect(bench.said.filter((line) => line.startsWith('> W')).length).toBe(window)
    bench.flush()
    expect(bench.seen.asked.length).toBe(40)
  })

  test('tells a window of four by saying nothing', () => {
    const identity = { firmware: 'sim', version: '1', uniqueId: '-', devices: [] }
    expect(identityPieces({ ...identity, window: 4 }).join('')).toBe('sim 1 -')
    expect(identityPieces({ ...identity, window: 15 }).join('')).toBe('sim 1 - window/15')
  })

  test('of a board that takes more lines than an acknowledgement can tell, or none', () => {
    const told = (word: string) => readIdentity(`sim 1.0.0 4e55 ${word} i2c.1/1`)
    expect(told('window/63')).toMatchObject({ window: 15, devices: [{ class: 'i2c' }] })
    expect(told('window/0')).toContain('takes no lines')
    expect(told('window/x')).toContain('no class.version/lines')
  })

  test('begins a session once, however often it is heard', () => {
    const bench = openBench({ faults: damage(8), host: { helloForTicks: 600_000_000 } })
    bench.pass(1000)
    expect(bench.seen.begun).toBe(1)
  })

  test('is heard by a board that talks to a host which is gone', () => {
    const bench = openBench()
    bench.board.frame({ line: 0, sequence: 1, edges: 1, boardTime: 5, snapshot: [] })
    const opened = bench.open()
    expect(opened.isOpen).toBe(true)
    bench.pass(100)
    expect(bench.seen).toMatchObject({ begun: 2, frames: [] })
  })
})

describe('a board', () => {
  test('without a session says so every second, and to whoever talks to it', () => {
    const bench = new Bench()
    bench.device.start()
    bench.pass(2500)
    expect(bench.said).toEqual(['< b173AycJX', '< b173AycJX', '< b173AycJX'])
    bench.device.receive(new TextEncoder().encode('what are you?\nwhat?\n'))
    expect(bench.said.length).toBe(4)
  })

  test('that was reset is noticed by its boot line', () => {
    const bench = openBench()
    bench.device.reset()
    bench.pass(5)
    expect(bench.seen).toMatchObject({ resets: 1, asked: [], gone: [] })
    expect(bench.host.isOpen).toBe(false)
    expect(bench.open().isOpen).toBe(true)
  })

  test('that was reset is noticed by what it answers to lines of the old session', () => {
    const bench = openBench()
    bench.toHost.setFaults({ lost: 1 })
    bench.device.reset()
    bench.pass(25)
    bench.toHost.setFaults({})
    expect(bench.seen.resets).toBe(0)
    bench.host.write(0, 0, 1)
    bench.pass(5)
    expect(bench.seen).toMatchObject({ resets: 1, asked: [], gone: [] })
  })

  test('that falls silent is gone after three seconds', () => {
    const bench = openBench()
    bench.pass(10_000) // nothing waits: nothing is missed
    bench.toHost.setFaults({ lost: 1 })
    bench.host.write(0, 0, 1)
    bench.pass(2900)
    expect(bench.seen.gone).toEqual([])
    bench.pass(200)
    expect(bench.seen.gone).toEqual([expect.stringContaining('not answered for three seconds')])
    bench.host.write(0, 0, 2)
    expect(bench.host.dropped).toBe(1)
  })

  test('says errors and logs', () => {
    const bench = openBench()
    bench.device.error(7, 'i2c0: SDA is stuck')
    bench.board.log('hello\n')
    bench.pass(10)
    expect(bench.seen.logs).toEqual([
      'board error 07 (a bus or chip of the board does not work): i2c0: SDA is stuck',
      'hello?',
    ])
  })

  test('that says it came up again is greeted anew', () => {
    const bench = openBench()
    bench.board.reset()
    bench.pass(20)
    expect(bench.seen.resets).toBe(1)
    expect(bench.open().isOpen).toBe(true)
    expect(bench.seen.begun).toBe(2)
  })

  test('says nothing in a session that is not of this one', () => {
    const bench = openBench()
    const old = bench.board
    bench.device.reset()
    bench.pass(20)
    expect(bench.open().isOpen).toBe(true)
    old.frame({ line: 0, sequence: 1, edges: 1, boardTime: 0, snapshot: [] })
    old.fifo(0, 0, [1])
    bench.pass(100)
    expect(bench.seen).toMatchObject({ frames: [], entries: [] })
  })
})

describe('lines of another session', () => {
  test('are dropped and counted on both sides', () => {
    const bench = openBench()
    bench.host.write(0, 0, 1)
    bench.board.frame({ line: 0, sequence: 1, edges: 1, boardTime: 0, snapshot: [] })
    bench.host.open(() => {}) // at once, with both lines still on the wire
    bench.pass(50)
    expect(bench.seen).toMatchObject({ frames: [] })
    bench.device.receive(Uint8Array.from(`${bench.said.find((line) => line.startsWith('> W'))?.slice(2)}\n`, code))
    expect(bench.device.counts.stale).toBe(1)
    expect(bench.seen.asked).toEqual(['write 0 0 1'])
  })
})

/** A board that says what it likes, well sealed. */
class Liar {
  readonly logs: string[] = []
  readonly frames: unknown[] = []
  readonly host: BridgeHost
  #sequence = 0

  constructor() {
    this.host = new BridgeHost(
      { time: { now: () => 0, after: () => {} }, write: () => {}, random: () => 5 },
      {
        frame: (frame) => this.frames.push(frame),
        fifo: () => {},
        reset: () => {},
        gone: () => {},
        log: (text) => this.logs.push(text),
      },
    )
    this.host.open(() => {})
    this.host.receive(encode({ message: { kind: 'h', version: 1, bootCount: 9 }, sequence: 0, ack: -1 }, prefixOf(5)))
    for (const text of ['a 1 -', '']) this.say({ kind: 't', text })
  }

  say(message: Message): void {
    const sequence = isSequenced(message.kind) ? this.#sequence++ & 63 : 0
    this.host.receive(encode({ message, sequence, ack: 0 }, prefixOf(5, 9)))
  }
}

describe('a board that lies', () => {
  test.for([
    [{ kind: 'r', value: 1 }, 'answered what nobody asked'],
    [{ kind: 't', text: 'x' }, 'said again what it is'],
    [{ kind: 'i', line: 1, frame: 5, time: 0, edges: 1, snapshot: [] }, 'sent frame 5 of line 1 in place of frame 0'],
    [{ kind: 'h', version: 1, bootCount: 1 }, "sent 'h' in a session"],
  ] as [Message, string][])('is complained of: %j', ([message, complaint]) => {
    const liar = new Liar()
    liar.say(message)
    expect(liar.logs).toEqual([`the board breaks the protocol: it ${complaint}`])
    liar.say({ kind: 'i', line: 1, frame: 0, time: 0, edges: 1, snapshot: [] })
    expect(liar.frames.length).toBe(1)
  })

  test('cannot make a snapshot grow without end', () => {
    const liar = new Liar()
    const snapshot = [0, 4, 8].map((offset) => ({ offset, value: 1, isMore: false }))
    for (let count = 0; count < 1000; count++) liar.say({ kind: 's', line: 0, snapshot })
    expect(liar.logs.length).toBeGreaterThan(80)
    liar.say({ kind: 'i', line: 0, frame: 0, time: 0, edges: 1, snapshot: [] })
    expect((liar.frames[0] as { snapshot: unknown[] }).snapshot.length).toBeLessThanOrEqual(32)
  })
})

const code = (character: string): number => character.charCodeAt(0)

describe('over a wire that damages', () => {
  const faults = fc.constantFrom(
    {},
    damage(1),
    damage(10),
    { doubled: 0.05 },
    { delayed: 0.02, delayTicks: 300_000 },
    { lost: 0.03, corrupted: 0.03, doubled: 0.03, delayed: 0.01, delayTicks: 100_000 },
  )

  const windows = fc.constantFrom(1, 4, 15)
  const host = { helloForTicks: 6_000_000_000 }

  test('everything the host says arrives once and in order, and questions get their own answers', () => {
    fc.assert(
      fc.property(fc.nat(), faults, windows, fc.integer({ min: 1, max: 60 }), (seed, wire, window, count) => {
        const bench = openBench({ seed, faults: wire, host, device: { window } })
        const expected: string[] = []
        const answers: number[] = []
        for (let index = 0; index < count; index++) {
          const register = (index % 5) * 4
          bench.host.write(1, register, index * 0x1010101)
          expected.push(`write 1 ${register} ${(index * 0x1010101) >>> 0}`)
          bench.host.read(1, register, (value) => answers.push(value))
          if (index % 7 === 0) {
            bench.host.enableLine(index % 4)
            expected.push(`enable ${index % 4}`)
          }
        }
        bench.flush()
        expect(bench.seen.asked).toEqual(expected)
        bench.until(() => answers.length === count)
        expect(answers).toEqual(Array.from({ length: count }, (_, index) => (index * 0x1010101) >>> 0))
      }),
      { numRuns: 40 },
    )
  })

  test('frames and entries arrive once, in order, with their counts, times and snapshots', () => {
    fc.assert(
      fc.property(fc.nat(), faults, windows, fc.integer({ min: 1, max: 60 }), (seed, wire, window, count) => {
        const bench = openBench({ seed, faults: wire, host, device: { window } })
        const frames = Array.from({ length: count }, (_, index) => ({
          line: index % 3,
          sequence: Math.floor(index / 3),
          edges: (index * index) >>> 0,
          boardTime: (index * 0x9000_0000) >>> 0,
          snapshot: [0, 4, 8, 12, 0x7fc].map((offset) => ({ offset, value: (offset * index * 0x10001) >>> 0 })),
        }))
        for (const [index, frame] of frames.entries()) {
          bench.board.fifo(0, 0x14, [index & 0xff, (index + 1) & 0xff])
          bench.board.frame(frame)
        }
        bench.until(() => bench.seen.frames.length === count)
        // A register that has not changed is left out, so what the host knows is what it was told in all.
        const known = new Map<string, number>()
        for (const [index, frame] of bench.seen.frames.entries()) {
          const { snapshot, ...rest } = frames[index]!
          expect({ ...frame, snapshot: [] }).toEqual({ ...rest, snapshot: [] })
          for (const { offset, value } of frame.snapshot) known.set(`${frame.line} ${offset}`, value)
          for (const { offset, value } of snapshot) expect(known.get(`${frame.line} ${offset}`)).toBe(value)
        }
        const entries = bench.seen.entries.flatMap((part) => part.entries)
        expect(entries).toEqual(Array.from({ length: count }, (_, index) => [index & 0xff, (index + 1) & 0xff]).flat())
      }),
      { numRuns: 40 },
    )
  })

  test('a session recovers from any garbage between the lines', () => {
    const bench = openBench()
    const garbage = fc.uint8Array({ maxLength: 200 })
    let value = 0
    fc.assert(
      fc.property(garbage, garbage, (toBoard, toHost) => {
        bench.toBoard.send(toBoard)
        bench.toHost.send(toHost)
        value += 1
        bench.host.write(0, 4, value)
        bench.flush()
        expect(bench.seen.asked.at(-1)).toBe(`write 0 4 ${value}`)
      }),
      { numRuns: 200 },
    )
    expect(bench.seen).toMatchObject({ resets: 0, gone: [] })
  })
})

describe('an echo', () => {
  test('of the own words is dropped on both sides', () => {
    const bench = openBench()
    const send = bench.toBoard.send.bind(bench.toBoard)
    bench.toBoard.send = (bytes) => {
      send(bytes)
      bench.toHost.send(bytes)
    }
    const answer = bench.toHost.send.bind(bench.toHost)
    bench.toHost.send = (bytes) => {
      answer(bytes)
      if (bytes[0]! >= 0x61) bench.device.receive(bytes)
    }
    for (let value = 0; value < 5; value++) bench.host.write(0, 0, value)
    bench.flush()
    bench.board.frame({ line: 0, sequence: 0, edges: 1, boardTime: 0, snapshot: [] })
    bench.pass(100)
    expect(bench.seen.asked).toEqual([0, 1, 2, 3, 4].map((value) => `write 0 0 ${value}`))
    expect(bench.seen).toMatchObject({ frames: [{ line: 0 }], logs: [], resets: 0 })
    expect(bench.host.counts.damaged).toBeGreaterThan(4)
  })
})

describe('an end of interrupt', () => {
  test('names the newest frame of its line, or says nothing', () => {
    const bench = openBench()
    bench.board.frame({ line: 2, sequence: 41, edges: 1, boardTime: 0, snapshot: [] })
    bench.board.frame({ line: 2, sequence: 42, edges: 2, boardTime: 0, snapshot: [] })
    bench.pass(20)
    const [first, second] = bench.seen.frames
    expect([first?.sequence, second?.sequence]).toEqual([0, 1])
    bench.host.endOfInterrupt(2, first!.sequence)
    bench.host.endOfInterrupt(2, second!.sequence)
    bench.flush()
    expect(bench.seen.asked).toEqual(['eoi 2 42'])
  })
})

describe('a FIFO of the board', () => {
  test('gets consecutive bytes in one line, other writes between them in order', () => {
    const bench = openBench({ host: { byteFifos: [{ device: 0, offset: 0x14 }] } })
    const expected: string[] = []
    bench.host.gather(() => {
      for (let byte = 0; byte < 60; byte++) {
        bench.host.write(0, 0x14, byte)
        expected.push(`write 0 20 ${byte}`)
        if (byte % 25 === 24) {
          bench.host.write(0, 0, byte)
          expected.push(`write 0 0 ${byte}`)
        }
      }
    })
    bench.flush()
    expect(bench.seen.asked).toEqual(expected)
    expect(bench.said.filter((line) => line.startsWith('> D')).length).toBe(5) // 16 and 9, twice; 10
  })

  test('tells bytes and words, and the host its credit', () => {
    const bench = openBench({ device: { wordFifos: [{ device: 1, offset: 0x50 }] } })
    bench.host.credit(0, 0x14, 4096)
    bench.flush()
    const bytes = Array.from({ length: 100 }, (_, index) => index)
    const words = bytes.map((byte) => (byte * 0x1234567) >>> 0)
    bench.board.fifo(0, 0x14, bytes)
    bench.board.fifo(1, 0x50, words)
    bench.pass(500)
    const taken = (device: number) =>
      bench.seen.entries.filter((part) => part.device === device).flatMap(({ entries }) => entries)
    expect(taken(0)).toEqual(bytes)
    expect(taken(1)).toEqual(words)
    expect(bench.seen.asked).toEqual(['credit 0 20 4096'])
  })
})

describe('a flush', () => {
  test('calls back when everything before it was carried out', () => {
    const bench = openBench()
    const done: string[] = []
    for (let value = 0; value < 10; value++) bench.host.write(0, 0, value)
    bench.host.flush(() => done.push(`the 10th was ${bench.seen.asked[9]}`))
    bench.toBoard.setFaults({ lost: 0.2 })
    bench.until(() => done.length > 0)
    expect(done).toEqual(['the 10th was write 0 0 9'])
  })

  test('with nothing before it calls back soon, and not at once', () => {
    const bench = openBench()
    bench.pass(10)
    const done: string[] = []
    bench.host.flush(() => done.push('done'))
    expect(done).toEqual([])
    bench.pass(1)
    expect(done).toEqual(['done'])
  })
})
