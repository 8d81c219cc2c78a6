/** Soak of waits: an event hand-over between two processors is never lost, whatever comes between park and unpark. */
import { setTimeout as sleep } from 'node:timers/promises'
import { boot } from '../machine/index.ts'
import type { Multiprocessor } from '../machine/multiprocessor.ts'
import { HANDOVER } from './drivers/handover.ts'
import type { Progress, Soak } from './soak.ts'

const DRIVER = new URL('./drivers/handover.ts', import.meta.url)

/** Hand-overs between two looks at the clock of the soak; every other slice has work for libuv beside it. */
const SLICE = 20_000
const LOOK_MS = 250
/** Hand-overs take microseconds: what does not move for so many looks never will. */
const STALLED_LOOKS = 40
const REVIVAL_MS = 500

export const handover: Soak = {
  name: 'handover',
  summary: 'two threads of two processors hand a number over by events, with delays wherever a wake-up could be lost',
  count: 1_000_000,
  async run({ count, seed, progress }) {
    // The watchdog rings every processor now and then: that would wake one whose ring was lost.
    await using machine = (await boot({ processors: 2, watchdog: false })) as Multiprocessor
    const address = (await machine.run(DRIVER, 'create')) as number
    let stalled = 0
    for (let done = 0; done < count && stalled === 0; done += SLICE) {
      stalled = await runSlice({ machine, address, count, progress, seed }, done, Math.min(SLICE, count - done))
    }
    progress('handover', 1)
    const late = wordOf(machine, address + HANDOVER.offsets.late)
    const wrong = wordOf(machine, address + HANDOVER.offsets.wrong)
    const lost = stalled + late + wrong
    const remark =
      lost === 0 ? '' : `${stalled} never came, ${late} came without a ring, ${wrong} brought a wrong number`
    return { held: lost === 0, result: { soak: 'handover', count, lost }, remark }
  },
}

interface Slices {
  machine: Multiprocessor
  address: number
  count: number
  progress: Progress
  seed: number
}

/** Has both sides hand over `rounds` times; gives back how many of them never came. */
async function runSlice({ machine, address, count, progress, seed }: Slices, before: number, rounds: number) {
  const hasHostWork = (before / SLICE) % 2 === 1
  const disturbed = [0, 1].map((processor) => {
    const disturbance = { address, seed: seed + before * 2 + processor, hasHostWork }
    return machine.run(DRIVER, 'disturb', disturbance, processor)
  })
  const gets = Math.ceil(rounds / 2)
  const gives = rounds - gets
  const sides = Promise.all([
    ...disturbed,
    machine.run(DRIVER, 'side', { address, before, gets, gives, begins: false }, 0),
    machine.run(DRIVER, 'side', { address, before, gets: gives, gives: gets, begins: true }, 1),
  ])
  const done = (): number => wordOf(machine, address + HANDOVER.offsets.done)
  let seen = -1
  for (let looks = 0; looks < STALLED_LOOKS; looks++) {
    if (await settles(sides, LOOK_MS)) return 0
    if (done() !== seen) looks = 0
    seen = done()
    progress('handover', seen / count)
  }
  // A question rings the processors: what moves then had only lost its ring.
  const questions = [0, 1].map((processor) => machine.run(DRIVER, 'leaveAlone', null, processor))
  await settles(Promise.all(questions), REVIVAL_MS)
  return (await settles(sides, REVIVAL_MS)) ? 1 : Math.max(before + rounds - done(), 1)
}

/** Looks at a word without ringing a processor. */
const wordOf = ({ memory }: Multiprocessor, address: number): number => Atomics.load(memory.u32, address >> 2)

/** Whether `promise` settles within `milliseconds`. */
async function settles(promise: Promise<unknown>, milliseconds: number): Promise<boolean> {
  const over = new AbortController()
  const late = sleep(milliseconds, false, { signal: over.signal }).catch(() => false)
  try {
    return await Promise.race([promise.then(() => true), late])
  } finally {
    over.abort()
  }
}
