/** Ways in which Node.js calls something now, soon or later. Each gives back nanoseconds a round. */
import { EventEmitter, on, once } from 'node:events'
import { expectEqual, timed, timedAsync } from '../benchmark.ts'

/** One event with one listener. */
export function emit(rounds: number): number {
  const line = new EventEmitter()
  let count = 0
  line.on('interrupt', () => (count += 1))
  const ns = timed(rounds, () => {
    for (let round = 0; round < rounds; round++) line.emit('interrupt')
  })
  expectEqual(count, rounds, 'the count')
  return ns
}

/** One turn of the event loop after the other. */
export function immediateHop(rounds: number): Promise<number> {
  let count = 0
  return timedAsync(
    rounds,
    () =>
      new Promise<void>((resolve) => {
        const hop = (): void => {
          count += 1
          if (count === rounds) resolve()
          else setImmediate(hop)
        }
        setImmediate(hop)
      }),
  )
}

/** A callback that runs when the code that asked for it has returned. */
export async function microtask(rounds: number): Promise<number> {
  let count = 0
  const callback = (): void => {
    count += 1
  }
  const done = Promise.resolve()
  const ns = await timedAsync(rounds, async () => {
    for (let round = 0; round < rounds; round++) {
      queueMicrotask(callback)
      await done
    }
  })
  expectEqual(count, rounds, 'the count')
  return ns
}

/** A timer that is set and taken back. */
export function timeout(rounds: number): number {
  const never = (): void => {
    throw new Error('a timer fired that was taken back')
  }
  return timed(rounds, () => {
    for (let round = 0; round < rounds; round++) clearTimeout(setTimeout(never, 1000))
  })
}

/** `await` of a promise that is settled already. */
export async function settled(rounds: number): Promise<number> {
  const done = Promise.resolve(0)
  let count = 0
  const ns = await timedAsync(rounds, async () => {
    for (let round = 0; round < rounds; round++) count += 1 + (await done)
  })
  expectEqual(count, rounds, 'the count')
  return ns
}

/** `await` of a promise that another coroutine settles: each settles the other's. */
export async function deferred(rounds: number): Promise<number> {
  let count = 0
  const bells: (() => void)[] = [() => {}, () => {}]
  const wait = (side: number): Promise<void> =>
    new Promise((resolve) => {
      bells[side] = resolve
    })
  const side = async (number: number): Promise<void> => {
    for (let round = 0; round < rounds; round++) {
      if (number === 1) bells[0]?.()
      const waiting = wait(number)
      if (number === 0) bells[1]?.()
      await waiting
      count += 1
    }
    bells[1 - number]?.()
  }
  const ns = await timedAsync(rounds * 2, () => Promise.all([side(0), side(1)]))
  expectEqual(count, rounds * 2, 'the count')
  return ns
}

class Layer {
  readonly #below: Layer | null
  constructor(below: Layer | null) {
    this.#below = below
  }
  async read(request: { length: number; done: number }): Promise<number> {
    if (this.#below !== null) return this.#below.read(request)
    request.done = request.length
    return 0
  }
}

/** A request that an async method hands to that of the layer below. */
export async function layers(rounds: number): Promise<number> {
  const top = new Layer(new Layer(null))
  let count = 0
  const ns = await timedAsync(rounds, async () => {
    for (let round = 0; round < rounds; round++) {
      const request = { length: 1, done: 0 }
      await top.read(request)
      count += request.done
    }
  })
  expectEqual(count, rounds, 'the count')
  return ns
}

/** An event that is awaited, and emitted by whoever runs meanwhile. */
export async function onceEmitted(rounds: number): Promise<number> {
  const bell = new EventEmitter()
  let count = 0
  const ns = await timedAsync(rounds, async () => {
    for (let round = 0; round < rounds; round++) {
      const ringing = once(bell, 'ring')
      bell.emit('ring')
      await ringing
      count += 1
    }
  })
  expectEqual(count, rounds, 'the count')
  return ns
}

/** Events that an iterator gives. */
export async function iterated(rounds: number): Promise<number> {
  const directory = new EventEmitter()
  const changes = on(directory, 'change')
  const ns = await timedAsync(rounds, async () => {
    for (let round = 0; round < rounds; round++) {
      directory.emit('change', String(round))
      const { value } = await changes.next()
      expectEqual((value as string[])[0], String(round), 'the name that was told')
    }
  })
  await changes.return?.()
  return ns
}
