/** Long random lives of a notify list, step by step beside an oracle. `SEED=…` repeats one. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { boot } from '../../../machine/index.ts'
import {
  FILE_ACTION_RENAMED_NEW_NAME,
  FILE_ACTION_RENAMED_OLD_NAME,
  FILE_NOTIFY_CHANGE_DIR_NAME,
} from '../../../kernel/fsrtl/codes.ts'
import { type UNICODE_STRING, textOf } from '../../../kernel/rtl/string.ts'
import { Oracle, type Wish } from './oracle.ts'
import { blocksInUse, type Open, type Outcome, spell, Volume } from './volume.ts'

const OPENS = 6
const STREAMS = [0x5000, 0x6000]
const DIRECTORIES = ['\\', '\\a', '\\a\\b', '\\a\\b\\c', '\\ab', '\\ab\\c', '\\b']
const FILES = ['x', 'yy', 'a', 'long name']

const open = fc.nat(OPENS - 1)
const directory = fc.constantFrom(...DIRECTORIES)
const filter = fc.constantFrom(1, 2, 4)

type Step =
  | { kind: 'watch'; open: number; wish: Wish; isLiteral: boolean }
  | { kind: 'report'; target: string; filter: number; action: number }
  | { kind: 'cancel'; request: number }
  | { kind: 'cleanup'; open: number }
  | { kind: 'cleanupAll' }
  | { kind: 'remove'; stream: number }
  | { kind: 'rename'; from: string; to: string }

const wish = fc.record<Wish>({
  name: directory,
  tree: fc.boolean(),
  filter: fc.constantFrom(1, 3, 7),
  room: fc.constantFrom(0, 14, 16, 20, 40, 80, 4096),
})
const target = fc
  .tuple(directory, fc.constantFrom(...FILES))
  .map(([parent, name]) => (parent === '\\' ? `\\${name}` : `${parent}\\${name}`))
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('watch' as const), open, wish, isLiteral: fc.boolean() }) },
  {
    weight: 10,
    arbitrary: fc.record({
      kind: fc.constant('report' as const),
      target,
      filter,
      action: fc.integer({ min: 1, max: 5 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('cancel' as const), request: fc.nat(20) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('cleanup' as const), open }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'cleanupAll' as const }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('remove' as const), stream: fc.constantFrom(...STREAMS) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('rename' as const),
      from: fc.constantFrom(...DIRECTORIES.slice(1)),
      to: fc.constantFrom('\\a', '\\b', '\\ab', '\\n'),
    }),
  },
)

/** The system and the oracle, which take each step together. */
class Pair {
  readonly volume = new Volume()
  readonly oracle = new Oracle()
  readonly names = Array.from({ length: OPENS }, () => this.volume.unicode('\\', 64))
  readonly opens: Open[] = Array.from({ length: OPENS }, (_, number) => this.volume.open('\\', STREAMS[number % 2]))

  async take(one: Step): Promise<void> {
    const { volume, oracle } = this
    switch (one.kind) {
      case 'watch':
        return this.#watch(one.open, one.wish, one.isLiteral)
      case 'report':
        oracle.report(one.target, one.filter, one.action)
        return volume.report(one.target, one.action, { FilterMatch: one.filter })
      case 'cancel':
        oracle.cancel(one.request)
        volume.requests[one.request]?.cancel()
        return
      case 'cleanup':
        oracle.cleanup(one.open)
        return this.opens[one.open]?.cleanup()
      case 'cleanupAll':
        oracle.cleanupAll()
        return volume.cleanupAll()
      case 'remove':
        oracle.remove(this.opens.flatMap(({ file }, number) => (file.FsContext === one.stream ? [number] : [])))
        return volume.remove(one.stream)
      case 'rename':
        return this.#rename(one.from, one.to)
    }
  }

  async #watch(number: number, asked: Wish, isLiteral: boolean): Promise<void> {
    const string = this.names[number] as UNICODE_STRING
    // The first request's name sticks: a second one must not rewrite the string that the first one gave.
    const isKnown = this.#following.has(number)
    if (!isLiteral && !isKnown) {
      spell(string, asked.name)
      this.oracle.spell(number, asked.name)
    }
    this.oracle.watch(number, { ...asked, name: isLiteral || !isKnown ? asked.name : textOf(string) }, !isLiteral)
    if (!isLiteral) this.#following.add(number)
    await this.opens[number]?.watch({
      FullDirectoryName: isLiteral ? asked.name : string,
      WatchTree: asked.tree,
      CompletionFilter: asked.filter,
      length: asked.room,
    })
  }
  readonly #following = new Set<number>()

  async #rename(from: string, to: string): Promise<void> {
    await this.#reportDirectory(from, FILE_ACTION_RENAMED_OLD_NAME)
    for (const [number, string] of this.names.entries()) {
      const name = textOf(string)
      if (name !== from && !name.startsWith(`${from}\\`)) continue
      spell(string, to + name.slice(from.length))
      this.oracle.spell(number, to + name.slice(from.length))
    }
    await this.#reportDirectory(to, FILE_ACTION_RENAMED_NEW_NAME)
  }

  #reportDirectory(name: string, action: number): void | Promise<void> {
    this.oracle.report(name, FILE_NOTIFY_CHANGE_DIR_NAME, action)
    return this.volume.report(name, action, { FilterMatch: FILE_NOTIFY_CHANGE_DIR_NAME })
  }

  /** Where they differ. */
  outcomes(): [Outcome[], Outcome[]] {
    return [this.volume.requests.map(({ outcome }) => outcome), this.oracle.outcomes]
  }
}

test('a notify list does what a linear scan of its watchers would, step by step', { timeout: 60_000 }, async () => {
  const seed = Number(process.env['SEED'] ?? Date.now() % 0x7fffffff)
  console.log(`notify model: SEED=${seed}`)
  await using machine = await boot({ localRoutines: true, build: 'checked' })
  await machine.run(() =>
    fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const pair = new Pair()
        for (const one of steps) {
          await pair.take(one)
          const [system, oracle] = pair.outcomes()
          expect(system).toEqual(oracle)
        }
        await pair.volume.close()
        expect(blocksInUse()).toEqual({})
      }),
      { seed, numRuns: 400 },
    ),
  )
})
