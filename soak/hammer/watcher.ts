/** A program that watches the volume of the soak `hammer`: each change is told once, in order, or it is told that some were not. */
import type { UserFile, UserProcess } from '../../machine/user.ts'

const FILE_NOTIFY_CHANGE_LAST_WRITE = 0x10
const MANY = 256

export class HammerWatcher {
  readonly #program: UserProcess
  readonly #file: UserFile
  readonly #ended: Promise<void>
  /** What it does when it has been told of many changes: one that is slow is told that there were too many. */
  readonly #rest: () => Promise<void>
  /** The last change that each worker was told to have made. */
  readonly #last = new Map<number, number>()
  /** Workers whose next change may be any later one: there was an overflow. */
  #known = new Set<number>()
  readonly #wrong: string[] = []
  #wrongs = 0
  readonly marks = new Set<string>()
  told = 0
  overflows = 0

  constructor(program: UserProcess, file: UserFile, rest: () => Promise<void>) {
    this.#program = program
    this.#file = file
    this.#rest = rest
    this.#ended = this.#watch()
  }

  async #watch(): Promise<void> {
    try {
      for await (const { action, path } of this.#file.watch({ filter: FILE_NOTIFY_CHANGE_LAST_WRITE })) {
        if (action === 'overflow') this.#overflow()
        else this.#see(action, path)
        if (this.told % MANY === MANY - 1) await this.#rest()
      }
    } catch (error) {
      this.#fail(`the watch ended: ${(error as Error).message}`)
    }
  }

  #overflow(): void {
    this.overflows += 1
    this.#known = new Set()
  }

  #see(action: string, path: string): void {
    const [, worker, change] = /^w(\d+)-(\d+)$/.exec(path)?.map(Number) ?? []
    if (action !== 'modified') this.#fail(`a change is told as '${action}'`)
    if (worker === undefined || change === undefined) {
      this.marks.add(path)
      return
    }
    this.told += 1
    const last = this.#last.get(worker) ?? 0
    const isNext = change === last + 1
    const mayBeNext = this.overflows > 0 && !this.#known.has(worker) && change > last
    if (!isNext && !mayBeNext) this.#fail(`behind change ${last} of worker ${worker} comes ${change}`)
    this.#last.set(worker, change)
    this.#known.add(worker)
  }

  #fail(text: string): void {
    this.#wrongs += 1
    if (this.#wrong.length < 5) this.#wrong.push(text)
  }

  /** What was wrong, and which of the changes that were made nobody told of. */
  missing(reported: ReadonlyMap<number, number>): string[] {
    for (const [worker, changes] of reported) {
      const last = this.#last.get(worker) ?? 0
      const isExcused = this.overflows > 0 && !this.#known.has(worker)
      if (last > changes || (last < changes && !isExcused)) {
        this.#fail(`worker ${worker} made ${changes} changes, and the last one told is ${last}`)
      }
    }
    return this.#wrongs > this.#wrong.length ? [...this.#wrong, `${this.#wrongs} in all`] : this.#wrong
  }

  async close(): Promise<void> {
    await this.#file.close()
    await this.#ended
    await this.#program.exit()
  }
}
