/** One of two plain workers. Each kind of work gives back what was measured, in nanoseconds. */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import { timed, timedAsync } from '../benchmark.ts'
import { threadNumber } from '../cores.ts'
import type { Kind } from '../pairs.ts'

const { kind, buffer, port, side } = workerData as {
  kind: Kind
  buffer: SharedArrayBuffer
  port: MessagePort
  side: number
}
const parent = parentPort as MessagePort
const words = new Int32Array(buffer)
const stamps = new Float64Array(buffer)

// Words, each in a cache line of its own.
const COUNT = 0
const TURN = 16
const ARRIVED = 32
const LOCK = 48
const NEVER = 64
const HEARD = 80 >> 1 // among the stamps

/** How long a thread is left alone, so that it sleeps. */
const ASLEEP_NS = 100_000

const now = (): number => Number(process.hrtime.bigint())

function raiseCount(): void {
  words[COUNT] = (words[COUNT] as number) + 1
}

/** Both sides begin together. */
function meet(): void {
  const last = Atomics.add(words, ARRIVED, 1) | 1
  while (Atomics.load(words, ARRIVED) <= last) Atomics.pause()
}

/** Both want one lock. */
function contend(rounds: number): number[] {
  meet()
  const ns = timed(rounds * 2, () => {
    for (let round = 0; round < rounds; round++) {
      while (Atomics.compareExchange(words, LOCK, 0, 1) !== 0) Atomics.pause()
      raiseCount()
      Atomics.store(words, LOCK, 0)
    }
    meet()
  })
  return [ns]
}

/** As in the machine's driver, and in C. */
const ROUNDS_PER_WRITE = 100
const WRITER = -1

/** Both read what a word guards that counts readers, and one time in a hundred change it. */
function readMostly(rounds: number): number[] {
  meet()
  let seen = 0
  const ns = timed(rounds * 2, () => {
    for (let round = 0; round < rounds; round++) {
      if (round % ROUNDS_PER_WRITE === 0) {
        while (Atomics.compareExchange(words, LOCK, 0, WRITER) !== 0) Atomics.pause()
        raiseCount()
        Atomics.store(words, LOCK, 0)
      } else {
        for (let held = Atomics.load(words, LOCK); ; held = Atomics.load(words, LOCK)) {
          if (held !== WRITER && Atomics.compareExchange(words, LOCK, held, held + 1) === held) break
          Atomics.pause()
        }
        seen += words[COUNT] as number
        Atomics.sub(words, LOCK, 1)
      }
    }
    meet()
  })
  if (seen < 0) throw new Error('the count went down')
  return [ns]
}

function pingPong(rounds: number, awaitTurn: () => void): number[] {
  meet()
  const ns = timed(rounds * 2, () => {
    for (let round = 0; round < rounds; round++) {
      awaitTurn()
      raiseCount()
      Atomics.store(words, TURN, 1 - side)
      if (kind === 'wake') Atomics.notify(words, TURN)
    }
  })
  return [ns]
}

/** A turn is awaited by looking at its word again and again: two processors are busy all the time. */
function awaitSpinning(): void {
  while (Atomics.load(words, TURN) !== side) Atomics.pause()
}

/** A turn is awaited asleep. */
function awaitAsleep(): void {
  while (Atomics.load(words, TURN) !== side) Atomics.wait(words, TURN, 1 - side)
}

async function messages(rounds: number): Promise<number[]> {
  const ns = await timedAsync(
    rounds * 2,
    () =>
      new Promise<void>((resolve) => {
        let left = rounds
        port.on('message', () => {
          raiseCount()
          left -= 1
          if (side === 1 || left > 0) port.postMessage(null)
          if (left > 0) return
          port.removeAllListeners('message')
          resolve()
        })
        if (side === 0) port.postMessage(null)
      }),
  )
  return [ns]
}

/** The first side sends, when the other has slept for a while; the other says when it heard. */
function oneWay(rounds: number, send: () => void): number[] {
  const figures: number[] = []
  for (let round = 0; round < rounds; round++) {
    for (const until = now() + ASLEEP_NS; now() < until; ) Atomics.pause()
    const begin = now()
    send()
    while (Atomics.load(words, COUNT) !== round + 1) Atomics.pause()
    figures.push((stamps[HEARD] as number) - begin)
  }
  return figures
}

function hear(): void {
  stamps[HEARD] = now()
  Atomics.add(words, COUNT, 1)
}

function wakeOneWay(rounds: number): number[] {
  meet()
  if (side === 0) {
    return oneWay(rounds, () => {
      Atomics.store(words, TURN, 1)
      Atomics.notify(words, TURN)
    })
  }
  for (let round = 0; round < rounds; round++) {
    while (Atomics.compareExchange(words, TURN, 1, 0) !== 1) Atomics.wait(words, TURN, 0)
    hear()
  }
  return []
}

function messageOneWay(rounds: number): number[] | Promise<number[]> {
  meet()
  if (side === 0) return oneWay(rounds, () => port.postMessage(null))
  return new Promise((resolve) => {
    let left = rounds
    port.on('message', () => {
      hear()
      left -= 1
      if (left > 0) return
      port.removeAllListeners('message')
      resolve([])
    })
  })
}

const WORK: Record<Kind, (rounds: number) => number[] | Promise<number[]>> = {
  sleep: () => {
    setImmediate(() => Atomics.wait(words, NEVER, 0))
    return []
  },
  contend,
  mostly: readMostly,
  spin: (rounds) => pingPong(rounds, awaitSpinning),
  wake: (rounds) => pingPong(rounds, awaitAsleep),
  messages,
  wakeOneWay,
  messageOneWay,
}

async function work(rounds: number): Promise<void> {
  parent.postMessage(await WORK[kind](rounds))
}

parent.on('message', (rounds: number) => void work(rounds))
parent.postMessage(threadNumber())
