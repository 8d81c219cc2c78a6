/** Any request of a user's program: it ends with a status. */
import { nextTurn } from '../../hal/timers.ts'
import { boot, type Machine } from '../../machine/index.ts'
import type { UserProcess } from '../../machine/user.ts'
import type { SystemCall } from '../../machine/userservice.ts'
import type { Random } from './random.ts'

const BUTTON = new URL('../../drivers/button/index.ts', import.meta.url)
const BOARD = 'fuzzed'
/** Requests of one process; then it exits with whatever it has open. */
const MOST_CALLS = 500

const CALLS: SystemCall['call'][] = [
  'open',
  'open',
  'close',
  'read',
  'write',
  'ioctl',
  'notify',
  'list',
  'create-event',
  'open-event',
  'set-event',
  'reset-event',
  'wait',
  'cancel',
]

export class UserMode {
  readonly #machine: Machine
  #process: UserProcess | null = null
  #calls = 0

  private constructor(machine: Machine) {
    this.#machine = machine
  }

  static async start(): Promise<UserMode> {
    return new UserMode(await boot({ drivers: [BUTTON], boards: [{ board: 'button', name: BOARD }], print: () => {} }))
  }

  stop(): Promise<void> {
    return this.#machine.shutdown()
  }

  /** Several requests at once, which are cancelled when they have had their chance. */
  async take(random: Random): Promise<void> {
    if (this.#process === null || this.#calls > MOST_CALLS) {
      await this.#process?.exit()
      this.#process = await this.#machine.process('fuzz')
      this.#calls = 0
    }
    const process = this.#process
    const over = new AbortController()
    const requests = Array.from({ length: 1 + random.below(4) }, () => request(random))
    this.#calls += requests.length
    const ends = requests.map((one) => process.call(one, { signal: over.signal }))
    const replies = Promise.allSettled(ends)
    await nextTurn()
    over.abort()
    if (random.chance(0.5)) this.#machine.board(BOARD).press()
    for (const reply of await replies) {
      if (reply.status === 'rejected') throw reply.reason
      if (!Number.isInteger(reply.value.status)) throw new Error(`a reply of ${JSON.stringify(reply.value)}`)
    }
  }
}

const NAMES = [
  'Button-0',
  '\\\\.\\Button-0',
  '\\Device\\Button0',
  '\\BaseNamedObjects',
  'event',
  '\\',
  '\\??',
  '\\Driver',
]

/** A request with fields that may be right, or of any kind. */
function request(random: Random): SystemCall {
  const isWild = random.chance(0.2)
  const any = <T>(likely: () => T): T => (isWild && random.chance(0.4) ? (random.junk() as T) : likely())
  const name = (): string => (random.chance(0.7) ? random.pick(NAMES) : random.word())
  const handle = (): number => (random.chance(0.7) ? 4 * random.below(12) : random.number())
  const length = (): number => (random.chance(0.7) ? random.below(100) : random.number())
  return {
    call: any(() => random.pick(CALLS)),
    path: any(name),
    name: any(() => (random.chance(0.2) ? null : name())),
    handle: any(handle),
    access: any(() => random.number()),
    disposition: any(() => random.below(8)),
    length: any(length),
    output: any(length),
    offset: any(() => (random.chance(0.5) ? null : random.number())),
    bytes: any(() => random.bytes(80)),
    input: any(() => random.bytes(80)),
    code: any(() => random.number()),
    filter: any(() => random.number()),
    tree: any(() => random.chance(0.5)),
    restart: any(() => random.chance(0.5)),
    type: any(() => random.below(4)),
    state: any(() => random.chance(0.5)),
    timeout: any(() => (random.chance(0.5) ? null : -random.below(1000))),
    token: any(() => random.below(1000)),
  } as unknown as SystemCall
}
