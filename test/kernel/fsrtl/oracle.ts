/** The notify package as a person would write it who does not mind how long it takes: one scan of a list. */
import { type Outcome, success, without } from './request.ts'

export interface Wish {
  name: string
  tree: boolean
  filter: number
  room: number
}

interface Watcher extends Wish {
  open: number
  /** Names that are no literals follow a rename. */
  follows: boolean
  waiting: number[]
  recorded: { records: string[]; room: number; owner: number | null } | null
  isLost: boolean
  isHalf: boolean
}

const RENAMED_OLD_NAME = 4

/** Bytes of records, and how each is told. */
const bytesOf = (records: string[]): number => (success(...records) as { information: number }).information

export class Oracle {
  readonly outcomes: Outcome[] = []
  readonly #rooms: number[] = []
  #watchers: Watcher[] = []

  /** Request number `outcomes.length`. */
  watch(open: number, wish: Wish, follows: boolean): void {
    const request = this.outcomes.push('pending') - 1
    this.#rooms[request] = wish.room
    let watcher = this.#watchers.find((one) => one.open === open)
    if (watcher === undefined) {
      watcher = { ...wish, open, follows, waiting: [], recorded: null, isLost: false, isHalf: false }
      this.#watchers.push(watcher)
    }
    const isDue = watcher.isLost || watcher.recorded !== null
    if (isDue && !watcher.isHalf) this.#tell(watcher, request)
    else watcher.waiting.push(request)
  }

  #tell(watcher: Watcher, request: number): void {
    const { recorded } = watcher
    const fits = recorded !== null && bytesOf(recorded.records) <= (this.#rooms[request] ?? 0)
    this.outcomes[request] = fits ? success(...recorded.records) : without('NOTIFY_ENUM_DIR')
    watcher.recorded = null
    watcher.isLost = false
  }

  report(target: string, filter: number, action: number): void {
    const cut = target.lastIndexOf('\\')
    const parent = cut === 0 ? '\\' : target.slice(0, cut)
    for (const watcher of this.#watchers) {
      if ((watcher.filter & filter) === 0) continue
      const way = wayFrom(watcher, parent)
      if (way !== null) this.#record(watcher, `${action} ${way}${target.slice(cut + 1)}`, action)
    }
  }

  #record(watcher: Watcher, record: string, action: number): void {
    if (watcher.room === 0) watcher.isLost = true
    if (!watcher.isLost) {
      const owner = watcher.waiting[0] ?? null
      watcher.recorded ??= { records: [], room: owner === null ? watcher.room : (this.#rooms[owner] ?? 0), owner }
      watcher.recorded.records.push(record)
      if (bytesOf(watcher.recorded.records) > watcher.recorded.room) {
        watcher.recorded = null
        watcher.isLost = true
      }
    }
    watcher.isHalf = action === RENAMED_OLD_NAME
    const request = watcher.isHalf ? undefined : watcher.waiting.shift()
    if (request !== undefined) this.#tell(watcher, request)
  }

  cancel(request: number): void {
    if (this.outcomes[request] !== 'pending') return
    this.#end(request, 'CANCELLED')
  }

  #end(request: number, status: string): void {
    const watcher = this.#watchers.find(({ waiting }) => waiting.includes(request))
    if (watcher === undefined) throw new Error(`request ${request} waits nowhere`)
    watcher.waiting.splice(watcher.waiting.indexOf(request), 1)
    this.outcomes[request] = without(status)
    const { recorded } = watcher
    if (recorded === null || recorded.owner !== request) return
    const next = watcher.waiting[0]
    const length = bytesOf(recorded.records)
    const hasNext = next !== undefined && (this.#rooms[next] ?? 0) >= length
    recorded.owner = hasNext ? next : null
    recorded.room = hasNext ? (this.#rooms[next] ?? 0) : Math.max(watcher.room, length)
  }

  cleanup(open: number): void {
    this.#finish((watcher) => watcher.open === open)
  }

  cleanupAll(): void {
    this.#finish(() => true)
  }

  #finish(isMeant: (watcher: Watcher) => boolean): void {
    for (const watcher of this.#watchers.filter(isMeant)) {
      for (const request of watcher.waiting) this.outcomes[request] = without('NOTIFY_CLEANUP')
    }
    this.#watchers = this.#watchers.filter((watcher) => !isMeant(watcher))
  }

  /** The directory that these opens have open is deleted. */
  remove(opens: number[]): void {
    for (const watcher of this.#watchers.filter(({ open }) => opens.includes(open))) {
      while (watcher.waiting[0] !== undefined) this.#end(watcher.waiting[0], 'DELETE_PENDING')
    }
  }

  /** Names change where they stand. */
  spell(open: number, name: string): void {
    for (const watcher of this.#watchers) if (watcher.open === open && watcher.follows) watcher.name = name
  }
}

/** How a watcher is told to get to `parent`; null when it is not told. */
function wayFrom({ name, tree }: Wish, parent: string): string | null {
  if (parent === name) return ''
  const isRoot = name.length === 1
  const isBelow = parent.startsWith(name) && (isRoot || parent[name.length] === '\\')
  return tree && isBelow ? `${parent.slice(isRoot ? 1 : name.length + 1)}\\` : null
}
