/** One board's time in the machine: it is plugged in, asked for all it can, and pulled out at any moment. */
import type { Prng } from '../../base/prng.ts'
import { STATUS_SUCCESS } from '../../kernel/rtl/status.ts'
import type { Board } from '../../machine/boards.ts'
import type { Machine } from '../../machine/index.ts'
import type { SystemCall, SystemReply } from '../../machine/userservice.ts'
import { COLDEST, type Device, DEVICES, HOTTEST, question, type Question, wrongIn } from './requests.ts'

/** One program, on a processor. */
export interface Client {
  call(request: SystemCall, options?: { signal?: AbortSignal }): Promise<SystemReply>
  exit(): Promise<void>
}

export interface SessionSlots {
  machine: Machine
  board: Board
  random: Prng
  /** Nothing takes longer than the board makes it. */
  isPunctual: boolean
  /** Told of every answer that is not right. */
  wrong(text: string): void
}

interface File {
  client: Client
  device: Device
  handle: number
}

interface Sent {
  question: Question
  over: AbortController
  isDone: boolean
}

const GENERIC_READ_WRITE = 0xc0000000
const FILE_OPEN = 1
/** Whatever is asked has ended by then: milliseconds of the machine. */
const PATIENCE_MS = [0.1, 1, 10, 100, 1000, 3000, 6000, 10_000]
/** The longest moment, in milliseconds: a page's write cycle takes 5. */
const MOMENTS_MS = [0.02, 0.3, 3, 30]

export class Session {
  readonly #slots: SessionSlots
  readonly #clients: readonly Client[]
  /** Of the names of the devices: each plug makes new ones. */
  readonly #number: number
  readonly #files: File[] = []
  readonly #sent: Sent[] = []
  #isUnplugging = false
  #isGone = false
  #isFaulty = false

  constructor(slots: SessionSlots, clients: readonly Client[], number: number) {
    this.#slots = slots
    this.#clients = clients
    this.#number = number
    this.#isFaulty = !slots.isPunctual
  }

  /** Plugs in, asks, and pulls out. */
  async run(): Promise<void> {
    const { board, random } = this.#slots
    await board.plug()
    for (const client of this.#clients) {
      for (const device of DEVICES) if (random.chance(0.8)) await this.#open(client, device)
    }
    for (let steps = random.below(5); steps >= 0; steps--) {
      this.#askSome(1 + random.below(3))
      this.#meddle()
      this.#abortSome(0.1)
      await this.#moment()
    }
    this.#isUnplugging = true
    const unplugged = board.unplug()
    this.#askSome(random.below(3))
    this.#abortSome(0.2)
    await unplugged
    this.#isGone = true
    this.#askSome(random.below(3))
  }

  /** Waits for every request, and closes all. Gives back how many requests never ended. */
  async end(): Promise<number> {
    for (const ms of PATIENCE_MS) {
      if (this.#sent.every(({ isDone }) => isDone)) break
      await this.#slots.machine.sleep(ms)
    }
    const stuck = this.#sent.filter(({ isDone }) => !isDone)
    for (const one of stuck) this.#slots.wrong(`${one.question.name} never ended`)
    for (const { client, handle } of this.#files) {
      const { status } = await client.call({ call: 'close', handle })
      if (status !== STATUS_SUCCESS) this.#slots.wrong(`close ended with 0x${(status >>> 0).toString(16)}`)
    }
    for (const client of this.#clients) await client.exit()
    return stuck.length
  }

  async #open(client: Client, device: Device): Promise<void> {
    const path = `${device}-${this.#number}`
    const request: SystemCall = { call: 'open', path, access: GENERIC_READ_WRITE, disposition: FILE_OPEN }
    const { status, handle = 0 } = await client.call(request)
    if (status === STATUS_SUCCESS) this.#files.push({ client, device, handle })
    else this.#slots.wrong(`open ${path} ended with 0x${(status >>> 0).toString(16)}`)
  }

  #askSome(count: number): void {
    for (let left = count; left > 0; left--) this.#ask()
  }

  #ask(): void {
    const { random } = this.#slots
    const wanted = question(random)
    const files = this.#files.filter(({ device }) => device === wanted.device)
    const file = files[random.below(files.length)]
    if (file === undefined) return
    const sent: Sent = { question: wanted, over: new AbortController(), isDone: false }
    this.#sent.push(sent)
    void this.#hear(sent, file, this.#isGone)
  }

  async #hear(sent: Sent, { client, handle }: File, isLate: boolean): Promise<void> {
    const { signal } = sent.over
    try {
      const reply = await client.call(sent.question.call(handle), { signal })
      const seen = {
        isLate,
        wasUnplugged: this.#isUnplugging,
        isAborted: signal.aborted,
        isFaulty: this.#isFaulty,
      }
      const wrong = wrongIn(sent.question, reply, seen)
      if (wrong !== null) this.#slots.wrong(wrong)
      sent.isDone = true
    } catch {
      // The machine has stopped: whoever runs the session is told.
    }
  }

  #abortSome(probability: number): void {
    for (const { isDone, over } of this.#sent) {
      if (!isDone && this.#slots.random.chance(probability)) over.abort()
    }
  }

  /** Somebody is at the board, too. */
  #meddle(): void {
    const { board, random } = this.#slots
    if (random.chance(0.3)) board.press('button')
    if (random.chance(0.3)) board.release('button')
    if (random.chance(0.3)) board.set('tmp102.temperature', COLDEST + random.below(HOTTEST - COLDEST))
    if (!random.chance(0.05)) return
    this.#isFaulty = true
    const { faults } = board.uno.bus()
    if (random.chance(0.5)) faults.holdSda(1 + random.below(9))
    else faults.stretch(random.below(60_000), 1)
  }

  async #moment(): Promise<void> {
    const { machine, random } = this.#slots
    const most = MOMENTS_MS[random.below(MOMENTS_MS.length)] ?? 0
    await machine.sleep((most * random.below(1000)) / 1000)
  }
}
