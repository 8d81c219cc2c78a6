/**
 * Soak of what two drivers and their programs share: a push lock, a named event, a notify list and an interrupt lock, on
 * two processors that really run at once. Everything is counted twice: by who did it, and under the lock.
 */
import { boot } from '../machine/index.ts'
import type { Multiprocessor } from '../machine/multiprocessor.ts'
import type { UserEvent, UserFile, UserProcess } from '../machine/user.ts'
import { BUS, DONE, type Done, EVENT_NAME, IOCTL_HAMMER, WORK, type Work } from './drivers/hammer.ts'
import { HammerWatcher } from './hammer/watcher.ts'
import type { Progress, Soak } from './soak.ts'

const VOLUME = new URL('./drivers/hammervolume.ts', import.meta.url)
const CHIP = new URL('./drivers/hammerchip.ts', import.meta.url)
const DEVICES = ['HammerVolume', 'HammerChip'] as const
const PROCESSORS = 2
const PROGRAMS = 2
const WATCHERS = 2
/** This one rests now and then, so that there are too many changes for it. */
const SLOW = 1
const SLOW_MS = 300
/** Operations of one piece of work: then the progress bar moves. */
const SLICE = 4000
/** Of one IOCTL of a program. */
const PER_CALL = 250
/** Of so many operations one is a program's own hold of the named event, by system calls alone. */
const PER_HOLD = 1000
/** Whoever waits for longer has starved. */
const STARVED_MS = 10_000
/** Workers of the kernel and programs have done nothing for so long: they never will. */
const STALLED_MS = 60_000

export const hammer: Soak = {
  name: 'hammer',
  summary: 'programs, two drivers and DPCs on a push lock, a named event, a notify list and an interrupt lock',
  count: 1_000_000,
  async run({ count, seed, progress }) {
    await using machine = (await boot({ processors: PROCESSORS, drivers: [VOLUME, CHIP] })) as Multiprocessor
    const run = new Hammer(machine, count, seed, progress)
    const violations = await run.run()
    const { longestWaitMs } = run
    if (longestWaitMs > STARVED_MS) violations.push(`somebody has waited for ${longestWaitMs} ms`)
    const result = { soak: 'hammer', count, violations: violations.length, longestWaitMs }
    return { held: violations.length === 0, result, remark: [run.told, ...violations].join('\n') }
  },
}

class Hammer {
  readonly #machine: Multiprocessor
  readonly #count: number
  readonly #seed: number
  readonly #progress: Progress
  readonly #all: Done[] = []
  #bus = 0
  #done = 0
  /** Holds of the event by programs alone. */
  #holds = 0
  #intruders = 0
  #longestMs = 0
  #workers = 0
  /** For people. */
  told = ''

  constructor(machine: Multiprocessor, count: number, seed: number, progress: Progress) {
    this.#machine = machine
    this.#count = count
    this.#seed = seed
    this.#progress = progress
  }

  get longestWaitMs(): number {
    const us = this.#all.reduce((longest, { LongestUs }) => Math.max(longest, LongestUs), 0)
    return Math.ceil(Math.max(us / 1000, this.#longestMs))
  }

  /** Has everybody work until `count` operations are done, and gives back what did not hold. */
  async run(): Promise<string[]> {
    const machine = this.#machine
    this.#bus = (await machine.run(VOLUME, 'createBus')) as number
    const programs = await Promise.all(Array.from({ length: PROGRAMS }, () => machine.process('hammer')))
    const watchers = await this.#watch()
    const event = await machine.openEvent(EVENT_NAME)
    const holds = Math.floor(this.#count / PER_HOLD)
    const parties = PROCESSORS * DEVICES.length + PROGRAMS * DEVICES.length
    const share = Math.floor((this.#count - holds) / parties)
    const kernel = [VOLUME, CHIP].flatMap((driver) =>
      Array.from({ length: PROCESSORS }, (_, processor) => this.#drive(driver, processor, share)),
    )
    const users = programs.flatMap((program) => DEVICES.map((device) => this.#call(program, device, share)))
    const rest = this.#count - holds - parties * share
    const work = Promise.all([...kernel, ...users, this.#drive(VOLUME, 0, rest), this.#hold(event, holds)])
    await this.#unlessStalled(work)
    const wrong = await this.#verdict()
    wrong.push(...(await this.#unlessStalled(this.#endWatches(watchers))))
    await event.close()
    for (const program of programs) await program.exit()
    await machine.run(VOLUME, 'freeBus', this.#bus)
    return wrong
  }

  async #unlessStalled<T>(work: Promise<T>): Promise<T> {
    let seen = -1
    let timer: NodeJS.Timeout | undefined
    const stalled = new Promise<never>((_, reject) => {
      timer = setInterval(() => {
        if (this.#done === seen) reject(new Error(`nothing has moved for ${STALLED_MS} ms behind ${seen} operations`))
        seen = this.#done
      }, STALLED_MS)
    })
    try {
      return await Promise.race([work, stalled])
    } finally {
      clearInterval(timer)
    }
  }

  #moved(operations: number): void {
    this.#done += operations
    this.#progress('hammer', this.#done / this.#count)
  }

  #newWork(): Work {
    const number = ++this.#workers
    return { Bus: this.#bus, Worker: number, Rounds: 0, Seed: (this.#seed + number * 7919) >>> 0, Reported: 0 }
  }

  /** A thread of a driver's own, on a processor. */
  async #drive(driver: URL, processor: number, operations: number): Promise<void> {
    const work = this.#newWork()
    await this.#inSlices(
      work,
      operations,
      SLICE,
      () => this.#machine.run(driver, 'work', work, processor) as Promise<Done>,
    )
  }

  /** A program, by IOCTLs. */
  async #call(program: UserProcess, device: string, operations: number): Promise<void> {
    const work = this.#newWork()
    const file = await program.open(device)
    await this.#inSlices(work, operations, PER_CALL, () => hammerBy(file, work))
    await file.close()
  }

  async #inSlices(work: Work, operations: number, slice: number, run: () => Promise<Done>): Promise<void> {
    for (let left = operations; left > 0; left -= slice) {
      work.Rounds = Math.min(slice, left)
      const done = await run()
      this.#all.push({ ...done, Reported: done.Reported - work.Reported })
      work.Reported = done.Reported
      work.Seed = (work.Seed + 1) >>> 0
      this.#moved(work.Rounds)
    }
    this.#reported.set(work.Worker, work.Reported)
  }
  readonly #reported = new Map<number, number>()

  /** A program that holds the named event itself, and writes where only its holder may. */
  async #hold(event: UserEvent, holds: number): Promise<void> {
    const me = ++this.#workers
    const { u32 } = this.#machine.memory
    const { Owner, Count, Twin } = BUS.offsets
    const word = (offset: number): number => (this.#bus + offset) >> 2
    for (let hold = 0; hold < holds; hold++) {
      const since = performance.now()
      await event.wait()
      this.#longestMs = Math.max(this.#longestMs, performance.now() - since)
      if (u32[word(Owner)] !== 0 || u32[word(Count)] !== u32[word(Twin)]) this.#intruders += 1
      u32[word(Owner)] = me
      u32[word(Count)] = (u32[word(Count)] ?? 0) + 1
      if (hold % 8 === 0) await new Promise((resolve) => setImmediate(resolve))
      u32[word(Twin)] = (u32[word(Twin)] ?? 0) + 1
      if (u32[word(Owner)] !== me) this.#intruders += 1
      u32[word(Owner)] = 0
      await event.set()
      this.#holds += 1
      this.#moved(1)
    }
  }

  async #watch(): Promise<HammerWatcher[]> {
    const watchers: HammerWatcher[] = []
    for (let index = 0; index < WATCHERS; index++) {
      const program = await this.#machine.process('watcher')
      const rest = (): Promise<void> => (index === SLOW ? this.#machine.sleep(SLOW_MS) : Promise.resolve())
      watchers.push(new HammerWatcher(program, await program.open(DEVICES[0]), rest))
    }
    await this.#mark(watchers, 'begin')
    return watchers
  }

  /** Reports a change until every watcher has seen it: each has seen everything before it then, or has been told. */
  async #mark(watchers: readonly HammerWatcher[], name: string): Promise<void> {
    while (!watchers.every(({ marks }) => marks.has(name))) {
      await this.#machine.run(VOLUME, 'report', name)
      await this.#machine.sleep(5)
    }
  }

  async #endWatches(watchers: readonly HammerWatcher[]): Promise<string[]> {
    await this.#mark(watchers, 'end')
    const wrong = watchers.flatMap((watcher) => watcher.missing(this.#reported))
    const told = watchers.reduce((sum, one) => sum + one.told, 0)
    const overflows = watchers.reduce((sum, one) => sum + one.overflows, 0)
    const reported = [...this.#reported.values()].reduce((sum, one) => sum + one, 0)
    this.told = `${reported} changes: ${watchers.length} watchers were told of ${told}, and ${overflows} times that there were too many`
    for (const watcher of watchers) await watcher.close()
    return wrong
  }

  /** What was counted under each lock is what was done. */
  async #verdict(): Promise<string[]> {
    const machine = this.#machine
    await machine.sleep(50) // the last interrupt's DPC
    const sum = (field: keyof Done): number => this.#all.reduce((total, done) => total + done[field], 0)
    const volume = (await machine.run(VOLUME, 'counted')) as Record<string, number>
    const chip = (await machine.run(CHIP, 'counted')) as Record<string, number>
    const bus = (await machine.run(VOLUME, 'busCounted', this.#bus)) as Record<string, number>
    const held = sum('Held') + this.#holds
    const synchronized = sum('Synchronized') + (chip['served'] ?? 0)
    const equal: [string, number | undefined, number | undefined][] = [
      ['operations', this.#done, this.#count],
      ['violations that workers saw', sum('Violations'), 0],
      ['violations that the program with the event saw', this.#intruders, 0],
      ['times that an ISR or the DPC found its state torn', chip['torn'], 0],
      ['exclusive holds of the push lock', volume['count'], sum('Exclusive')],
      ['the push lock’s second count', volume['twin'], sum('Exclusive')],
      ['holds of the named event', bus['count'], held],
      ['the named event’s second count', bus['twin'], held],
      ['the bus’s owner', bus['owner'], 0],
      ['entries under the interrupt lock', chip['first'], synchronized],
      ['the interrupt lock’s second count', chip['second'], synchronized],
      ['interrupts that the DPC has seen', chip['drained'], chip['served']],
      ['rounds under the DPC’s lock', chip['spun'], sum('Spun')],
      ['interrupts are none', Number(chip['served'] === 0 && sum('Asserted') > 0), 0],
    ]
    return equal.flatMap(([what, is, should]) => (is === should ? [] : [`${what}: ${is}, not ${should}`]))
  }
}

async function hammerBy(file: UserFile, work: Work): Promise<Done> {
  const input = new Uint8Array(WORK.size)
  const words = new Uint32Array(input.buffer)
  for (const [field, value] of Object.entries(work)) words[WORK.offsets[field as keyof Work] >> 2] = value
  const output = new Uint32Array((await file.ioctl(IOCTL_HAMMER, input, DONE.size)).slice().buffer)
  const fields = Object.entries(DONE.offsets).map(([field, offset]) => [field, output[offset >> 2] ?? 0])
  return Object.fromEntries(fields) as Done
}
