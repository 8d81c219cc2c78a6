/**
 * A driver whose two threads, one on each processor, hand a number to each other through synchronization events, with
 * random delays wherever a wake-up could be lost: before and behind each set, before each wait, and at the places in
 * which the processors ring each other and fall asleep.
 */
import { Prng } from '../../base/prng.ts'
import { every } from '../../hal/timers.ts'
import type { WorkerProcessor } from '../../hal/workerprocessor.ts'
import { IO_NO_INCREMENT, KeInitializeEvent, KeSetEvent, SynchronizationEvent } from '../../kernel/ke/event.ts'
import { KEVENT } from '../../kernel/ke/layouts.ts'
import { Executive, KeDelayExecutionThread, KernelMode, KeWaitForSingleObject } from '../../kernel/ke/wait.ts'
import { allocateStruct } from '../../kernel/mm/pool.ts'
import { ports } from '../../kernel/ports/ports.ts'
import { atomic, struct, ULONG } from '../../kernel/rtl/struct.ts'

export const HANDOVER = struct('HANDOVER', {
  // Whoever was handed the number changes it; nobody else looks.
  number: ULONG,
  wrong: ULONG, // hand-overs that brought another number than the next one

  ping: KEVENT,
  pong: KEVENT,

  // No lock.
  done: atomic(ULONG), // hand-overs that came
  late: atomic(ULONG), // work that was found only because a sleep was over, not because somebody rang
})
export type HANDOVER = InstanceType<typeof HANDOVER>

const at = (address: number): HANDOVER => new HANDOVER(address)

export function create(): number {
  const handover = allocateStruct(HANDOVER, 'Soak')
  if (handover === null) return 0
  KeInitializeEvent(handover.ping, SynchronizationEvent, false)
  KeInitializeEvent(handover.pong, SynchronizationEvent, false)
  return handover.address
}

/** The delays of this processor. */
const chance = { random: new Prng(0), stopHostWork: () => {} }

/** `Atomics.pause` takes some 30 ns. */
const SHORT_PAUSES = 170 // 5 µs
const LONG_PAUSES = 2500 // 75 µs: longer than a processor looks for work before it sleeps

/** Half of the time nothing, mostly up to 5 µs, and now and then long enough for the other processor to sleep. */
function delay(): void {
  const { random } = chance
  if (random.chance(0.5)) return
  const pauses = random.below(random.chance(1 / 64) ? LONG_PAUSES : SHORT_PAUSES)
  for (let pause = 0; pause < pauses; pause++) Atomics.pause()
}

interface Disturbance {
  address: number
  seed: number
  /** Whether libuv has something to do meanwhile: a processor sleeps otherwise then. */
  hasHostWork: boolean
}

/** From now on the processor that runs this loiters wherever it rings others and falls asleep. */
export function disturb({ address, seed, hasHostWork }: Disturbance): void {
  const { late } = at(address)
  chance.random = new Prng(seed)
  chance.stopHostWork()
  chance.stopHostWork = hasHostWork ? every(60_000, () => {}) : () => {}
  ;(ports.processor as WorkerProcessor).disturb = (place) => {
    if (place === 'late') late.add(1)
    else delay()
  }
}

export function leaveAlone(): void {
  chance.stopHostWork()
  chance.stopHostWork = () => {}
  ;(ports.processor as WorkerProcessor).disturb = null
}

/** Loiters, mostly busy, sometimes by letting everything else run. */
async function loiter(): Promise<void> {
  if (chance.random.chance(1 / 32)) await KeDelayExecutionThread(KernelMode, false, -1)
  else delay()
}

export interface Side {
  address: number
  /** Hand-overs before this run. */
  before: number
  /** Hand-overs to this side, and by it. */
  gets: number
  gives: number
  /** Whether this side has the number at first. */
  begins: boolean
}

/** One side: gets the number, raises it, hands it back. */
export async function side({ address, before, gets, gives, begins }: Side): Promise<void> {
  const handover = at(address)
  const { ping, pong, done } = handover
  const mine = begins ? pong : ping
  const other = begins ? ping : pong
  let expected = before + (begins ? 2 : 1)
  let given = 0
  if (begins && given++ < gives) give(handover, other)
  for (let round = 0; round < gets; round++) {
    await loiter()
    await KeWaitForSingleObject(mine, Executive, KernelMode, false, null)
    if (handover.number !== expected) handover.wrong += 1
    expected += 2
    done.add(1)
    await loiter()
    if (given++ < gives) give(handover, other)
  }
}

function give(handover: HANDOVER, event: KEVENT): void {
  handover.number += 1
  KeSetEvent(event, IO_NO_INCREMENT, false)
}
