/** One driver test, unchanged, on every kind of board: cli/bench/conformance.ts. The virtual machine runs it as well. */
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { type Conformance, type ConformanceOptions, conform, SCENARIOS } from '../../cli/bench/conformance.ts'
import { noUmockdev, runMocked } from '../hal/links/umockdev.ts'

const LIMIT_MS = 120_000
const ALL = SCENARIOS.map(({ name }) => name)

/** Every scenario ran, and held. */
function expectAll({ outcomes, hasBugCheck }: Conformance): void {
  expect(outcomes.filter(({ ok }) => ok === false)).toEqual([])
  expect(outcomes.filter(({ ok }) => ok === true).map(({ scenario }) => scenario)).toEqual(ALL)
  expect(hasBugCheck).toBe(false)
}

const MACHINES: [string, Omit<ConformanceOptions, 'board'>][] = [
  ['one processor', { processors: 1 }],
  ['two processors', { processors: 2 }],
  ['one processor in virtual time', { processors: 1, clock: 'virtual' }],
  ['two processors in virtual time', { processors: 2, clock: 'virtual' }],
]

describe('the drivers tmp102, at24 and gpio pass the same test', () => {
  test.each(MACHINES)(
    'on a model, %s',
    async (_name, options) => expectAll(await conform({ board: { board: 'arduino-uno' }, ...options })),
    LIMIT_MS,
  )

  test.each(MACHINES.slice(1, 3))(
    'on the real firmware in an emulated Uno, %s',
    async (_name, options) => {
      const run = await conform({ board: { board: 'arduino-uno', at: 'emulated' }, ...options })
      expectAll(run)
      expect(run.firmware).toMatch(/^dirql-uno /)
    },
    LIMIT_MS,
  )

  test.skipIf(process.platform === 'win32')(
    'on the real firmware in an emulated Uno of another process, on a PTY, through serialport',
    async () => {
      await using sim = await simulate()
      const run = await conform({ board: { board: 'arduino-uno', at: sim.path }, processors: 2 })
      expectAll(run)
      expect(run.where).toBe(sim.path)
    },
    LIMIT_MS,
  )

  const reason = noUmockdev()
  const isSkipped = reason !== null && process.env['CI'] === undefined
  test.skipIf(isSkipped)(
    `on a board behind raw HID, through node-hid, among mocked devices${isSkipped ? ` (skipped: ${reason})` : ''}`,
    async () => {
      expect(reason).toBeNull()
      const { results, output } = await runMocked(fileURLToPath(new URL('./mockedbridge.ts', import.meta.url)))
      const failed = [...results].filter(([, error]) => error !== null)
      expect(failed, output).toEqual([])
      const needed = SCENARIOS.filter(({ needs }) => !needs.includes('tmp102') && !needs.includes('at24'))
      expect([...results.keys()], output).toEqual(expect.arrayContaining(needed.map(({ name }) => name)))
    },
    LIMIT_MS,
  )
})

/** `dirql sim` in a process of its own. */
async function simulate(): Promise<AsyncDisposable & { path: string }> {
  const folder = mkdtempSync(join(tmpdir(), 'dirql-'))
  const path = join(folder, 'uno')
  const command = fileURLToPath(new URL('../../cli/dirql.ts', import.meta.url))
  const sim = spawn(process.execPath, [command, 'sim', 'arduino-uno', '--pty', path], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = new Promise<void>((resolve) => sim.once('close', () => resolve()))
  for await (const line of createInterface({ input: sim.stdout })) if (line.startsWith('hands:')) break
  sim.stdout.resume()
  return {
    path,
    async [Symbol.asyncDispose]() {
      sim.kill('SIGTERM')
      await ended
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
