import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { type Outcome, run, start } from './run.ts'

const folder = mkdtempSync(join(tmpdir(), 'dirql-demo-'))
afterAll(() => rmSync(folder, { recursive: true }))

const KEYS = [
  'processors',
  'board',
  'firmware',
  'seconds',
  'interrupts',
  'lostInterrupts',
  'dpcs',
  'transactions',
  'mixedTransactions',
  'dataErrors',
  'eventHandovers',
  'changesReported',
  'isrLatencyUs',
  'bugChecks',
]

interface Summary {
  firmware: string
  transactions: number
  mixedTransactions: number
  eventHandovers: number
  changesReported: number
}

function summaryOf({ stdout }: Outcome): Summary {
  const summary = JSON.parse(stdout) as Summary
  expect(Object.keys(summary).sort()).toEqual([...KEYS].sort())
  return summary
}

const HELD = { lostInterrupts: 0, mixedTransactions: 0, dataErrors: 0, bugChecks: 0 }

describe('dirql demo', { timeout: 120_000 }, () => {
  test('on virtual time loses and mixes nothing, and is the same in every run', async () => {
    const command = ['demo', '--virtual', '--seed', '7', '--seconds', '2', '--json']
    const [first, second] = [await run(...command), await run(...command)]
    expect(summaryOf(first)).toMatchObject(HELD)
    expect(summaryOf(first)).toMatchObject({
      processors: 2,
      board: 'arduino-uno',
      seconds: 2,
      firmware: 'dirql-uno 1.0.0',
    })
    expect(summaryOf(first).eventHandovers).toBeGreaterThan(0)
    expect(summaryOf(first).changesReported).toBeGreaterThan(0)
    expect(second.stdout).toBe(first.stdout)
    expect([first.code, second.code]).toEqual([0, 0])
  })

  test('on one processor loses and mixes nothing', async () => {
    const outcome = await run('demo', '--virtual', '--processors', '1', '--seconds', '1', '--json')
    expect(summaryOf(outcome)).toMatchObject({ ...HELD, processors: 1 })
    expect(outcome.code).toBe(0)
  })

  test('without the event mixes transactions of the two drivers, counts them, and exits with 1', async () => {
    const outcome = await run('demo', '--virtual', '--without-event', '--seconds', '1', '--json')
    expect(summaryOf(outcome).mixedTransactions).toBeGreaterThan(0)
    expect(outcome.code).toBe(1)
  })

  test('on real time loses and mixes nothing, and tells it in words', async () => {
    const { code, stdout } = await run('demo', '--seconds', '2')
    expect(stdout).toMatch(/^2 processors, real time, board uno-0 emulated \(dirql-uno 1\.0\.0\), seed 1\n {2}1 s .*°C/)
    expect(stdout).toMatch(/\d+ interrupts, 0 lost;.*\n\d+ transactions on the bus, 0 of them mixed;/)
    expect(stdout).toMatch(/all held\n$/)
    expect(code).toBe(0)
  })

  test.skipIf(process.platform === 'win32')(
    'runs against a board at a path that another process simulates, through serialport',
    async () => {
      const path = join(folder, 'uno')
      const simulation = start(['sim', 'arduino-uno', '--pty', path])
      await simulation.says('hands:')
      const outcome = await run('demo', '--port', path, '--seconds', '2', '--json')
      expect(summaryOf(outcome)).toMatchObject(HELD)
      expect(summaryOf(outcome).transactions).toBeGreaterThan(0)
      expect(outcome.code).toBe(0)
      simulation.interrupt()
      const { code, stdout } = await simulation.ended
      expect(stdout).toMatch(/\d+ transactions on the bus, 0 sequences cut into/)
      expect(code).toBe(0)
    },
  )

  test('at a path where nothing is says so, and exits with 3', async () => {
    const { code, stderr } = await run('demo', '--port', join(folder, 'nothing'), '--seconds', '1')
    expect(stderr).toMatch(/there is no .*nothing/)
    expect(code).toBe(3)
  })

  test('at Ctrl-C ends with its summary', async () => {
    const demo = start(['demo', '--seconds', '600'])
    await demo.says('°C')
    demo.interrupt()
    const { code, stdout } = await demo.ended
    expect(stdout).toContain('all held')
    expect(code).toBe(0)
  })
})
