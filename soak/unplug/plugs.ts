/** One machine, with all that is plugged into it. */
import { Prng } from '../../base/prng.ts'
import { siblingFile } from '../../hal/siblingfile.ts'
import type { Board } from '../../machine/boards.ts'
import { boot, type Machine } from '../../machine/index.ts'
import type { InUse } from '../../machine/leaks.ts'
import type { Called } from '../drivers/unplug.ts'
import { eepromByte } from './requests.ts'
import { type Client, Session, type SessionSlots } from './session.ts'

const CALLS = new URL('../drivers/unplug.ts', import.meta.url)
const LEAKS = siblingFile('../../machine/leaks', import.meta.url)
const DRIVERS = ['tmp102', 'at24', 'gpio'].map((name) => new URL(`../../drivers/${name}/index.ts`, import.meta.url))
/** Unplugs before the first look: tables that grow once have grown. */
const WARM_UP = 2
const MOST_TOLD = 5
/** What was closed last is gone by then. */
const MOST_LOOKS = 20
const LOOK_MS = 100

export interface Slice {
  processors: number
  clock: 'real' | 'virtual'
  seed: number
  unplugs: number
}

export interface Tally {
  leakedBytes: number
  leakedHandles: number
  stuckIrps: number
  /** Answers that were not right, and what else must not be. */
  wrong: number
  /** The first of them, for people. */
  told: string[]
}

/** Plugs and unplugs as often as the slice says. */
export async function runSlice(slice: Slice, show: (done: number) => void): Promise<Tally> {
  const { processors, clock, seed, unplugs } = slice
  await using machine = await boot({ processors, clock, seed, print: () => {} })
  const plugs = new Plugs(machine, slice)
  await plugs.begin()
  for (let done = 0; done < unplugs; done++) {
    await plugs.next()
    show(done + 1)
  }
  await plugs.end()
  return plugs.tally
}

/** One machine, and all that is plugged into it. */
class Plugs {
  readonly tally: Tally = { leakedBytes: 0, leakedHandles: 0, stuckIrps: 0, wrong: 0, told: [] }
  readonly #machine: Machine
  readonly #slice: Slice
  readonly #random: Prng
  #board: Board | null = null
  #before: InUse | null = null
  #count = 0
  #token = 1
  /** Its files are open yet. */
  #last: Session | null = null

  constructor(machine: Machine, slice: Slice) {
    this.#machine = machine
    this.#slice = slice
    this.#random = new Prng(slice.seed)
  }

  /** Loads the drivers and plugs the board in for the first time. */
  async begin(): Promise<void> {
    const machine = this.#machine
    await (await machine.createEvent()).close() // makes the program's process, which stays
    await this.#look()
    for (const driver of DRIVERS) await machine.load(driver)
    const board = await machine.plug({ board: 'arduino-uno', name: 'soak-0', at: 'model' })
    board.model.keepsWrites = false
    const eeprom = board.uno.chips.get('at24')
    if (eeprom !== undefined && 'memory' in eeprom)
      eeprom.memory.set(eeprom.memory.map((_, index) => eepromByte(index)))
    await board.unplug()
    this.#board = board
    this.#count = 1
  }

  /** One more plug and unplug. Every fifth time the files stay open until the next board is there. */
  async next(): Promise<void> {
    const number = this.#count++
    const board = this.#board as Board
    const slots: SessionSlots = {
      machine: this.#machine,
      board,
      random: this.#random,
      // On the real clock a host that is busy may let a transfer time out.
      isPunctual: this.#slice.clock === 'virtual',
      wrong: (text) => this.#wrong(`plug ${number}: ${text}`),
    }
    const session = new Session(slots, await this.#clients(), number)
    await session.run()
    if (this.#last !== null) await this.#end(this.#last)
    this.#last = session
    if (!this.#random.chance(0.2)) await this.#end(session)
    board.uno.bus().log.length = 0
    if (number === WARM_UP) await this.#settle()
  }

  async #end(session: Session): Promise<void> {
    this.#last = null
    this.tally.stuckIrps += await session.end()
  }

  /** The first look, which the last is compared with. */
  async #settle(): Promise<void> {
    if (this.#last !== null) await this.#end(this.#last)
    this.#before = await this.#look()
  }

  #wrong(text: string): void {
    this.tally.wrong += 1
    this.#tell(text)
  }

  #tell(text: string): void {
    const { processors, clock, seed } = this.#slice
    const { told } = this.tally
    if (told.length < MOST_TOLD) told.push(`${processors} processors, ${clock} clock, seed ${seed}: ${text}`)
  }

  /** A program on processor 0, and one on the last processor. */
  async #clients(): Promise<Client[]> {
    const program = await this.#machine.process('soak')
    return this.#slice.processors === 1 ? [program] : [program, this.#onProcessor(this.#slice.processors - 1)]
  }

  #onProcessor(processor: number): Client {
    const send = (called: Called): ReturnType<Client['call']> =>
      this.#machine.run(CALLS, 'call', called, processor) as ReturnType<Client['call']>
    return {
      call: async (request, { signal } = {}) => {
        const token = this.#token++
        const cancel = (): void => void send({ request: { call: 'cancel', token }, token: 0 })
        signal?.addEventListener('abort', cancel, { once: true })
        const reply = await send({ request, token })
        signal?.removeEventListener('abort', cancel)
        return reply
      },
      exit: () => Promise.resolve(),
    }
  }

  #look(): Promise<InUse> {
    return this.#machine.run(LEAKS, 'inUse') as Promise<InUse>
  }

  /** What is in use more than when the soak began. */
  async end(): Promise<void> {
    if (this.#last !== null) await this.#end(this.#last)
    const irps = await this.#irpsLeft()
    if (irps > 0) this.#wrong(`${irps} IRPs are in flight at the end`)
    this.tally.stuckIrps += irps
    if (this.#before !== null) this.#compare(this.#before, await this.#look())
  }

  /** IRPs that are in flight yet when everything has had its time: the last closes are sent behind their handles' end. */
  async #irpsLeft(): Promise<number> {
    for (let looks = 0; ; looks++) {
      const { irps } = await this.#machine.inspect()
      if (irps.length === 0 || looks === MOST_LOOKS) return irps.length
      await this.#machine.sleep(LOOK_MS)
    }
  }

  #compare(before: InUse, after: InUse): void {
    const handles = after.kernelHandles - before.kernelHandles
    this.tally.leakedHandles += Math.max(handles, 0)
    for (const text of after.raised) this.#wrong(text)
    for (const [tag, { bytes }] of Object.entries(after.pool)) {
      const leaked = bytes - (before.pool[tag]?.bytes ?? 0)
      if (leaked <= 0) continue
      this.tally.leakedBytes += leaked
      this.#tell(`${leaked} bytes of tag '${tag}' leaked`)
    }
  }
}
