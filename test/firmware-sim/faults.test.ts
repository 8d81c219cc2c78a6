import { describe, expect, test } from 'vitest'
import { Prng } from '../../base/prng.ts'
import { damage, type Faults, FaultyWire } from '../../firmware-sim/faults.ts'
import { World } from '../../hal/world.ts'

function wire(faults: Faults, seed = 1) {
  let now = 0
  const world = new World(() => now)
  const arrived: { at: number; bytes: Uint8Array }[] = []
  const faulty = new FaultyWire({
    random: new Prng(seed),
    time: world,
    faults,
    latencyTicks: 100,
    deliver: (bytes) => arrived.push({ at: now, bytes }),
  })
  const run = (): void => {
    while (world.next < Number.POSITIVE_INFINITY) {
      now = world.next
      world.run()
    }
  }
  const received = (): number[] => {
    run()
    return arrived.flatMap(({ bytes }) => [...bytes])
  }
  return { faulty, arrived, received, run }
}

const COUNT = 100_000
const bytes = Uint8Array.from({ length: COUNT }, (_, index) => index & 0xff)

describe('a wire', () => {
  test('without faults carries everything, later', () => {
    const { faulty, arrived, received } = wire({})
    faulty.send(bytes.subarray(0, 100))
    faulty.send(bytes.subarray(100, 200))
    expect(received()).toEqual([...bytes.subarray(0, 200)])
    expect(arrived.map(({ at }) => at)).toEqual([100, 100])
  })

  test.for([
    [{ lost: 0.1 }, 0.9],
    [{ doubled: 0.1 }, 1.1],
    [{ corrupted: 0.1 }, 1],
    [damage(10), 0.95],
  ] as const)('with %j strikes one byte in ten', ([faults, left]) => {
    const { faulty, received } = wire(faults)
    faulty.send(bytes)
    expect(received().length / COUNT).toBeCloseTo(left, 2)
    expect(faulty.struck / COUNT).toBeCloseTo(0.1, 2)
  })

  test('changes each corrupted byte', () => {
    const { faulty, received } = wire({ corrupted: 1 })
    faulty.send(bytes.subarray(0, 1000))
    expect(received().filter((byte, index) => byte === bytes[index])).toEqual([])
  })

  test('with delays keeps the order', () => {
    const { faulty, arrived, received } = wire({ delayed: 0.01, delayTicks: 5000 })
    for (let from = 0; from < 10_000; from += 10) faulty.send(bytes.subarray(from, from + 10))
    expect(received()).toEqual([...bytes.subarray(0, 10_000)])
    expect(arrived.at(-1)?.at).toBeGreaterThanOrEqual(5000)
  })

  test('does the same for the same seed', () => {
    const runs = [7, 7, 8].map((seed) => {
      const { faulty, received } = wire(damage(10), seed)
      faulty.send(bytes.subarray(0, 1000))
      return received().join(' ')
    })
    expect(runs[0]).toBe(runs[1])
    expect(runs[0]).not.toBe(runs[2])
  })
})
