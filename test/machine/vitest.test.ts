import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test as plain } from 'vitest'
import { test } from '../../machine/vitest.ts'

const vitest = fileURLToPath(new URL('vitest.mjs', import.meta.resolve('vitest/package.json')))
const config = fileURLToPath(new URL('./programs/vitest/config.ts', import.meta.url))

interface Report {
  testResults: { assertionResults: { title: string; status: string; failureMessages: string[] }[] }[]
}

/** What each test of the fixture file came to: '' for one that passed, else its message. */
function runFixture(): { results: Record<string, string>; stderr: string } {
  const folder = mkdtempSync(join(tmpdir(), 'dirql-vitest-'))
  const file = join(folder, 'report.json')
  const args = [vitest, 'run', '--config', config, '--reporter=default', '--reporter=json', `--outputFile=${file}`]
  const { stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' })
  const report = JSON.parse(readFileSync(file, 'utf8')) as Report
  rmSync(folder, { recursive: true })
  const results = report.testResults.flatMap(({ assertionResults }) =>
    assertionResults.map(({ title, status, failureMessages }): [string, string] => [
      title,
      status === 'passed' ? '' : (failureMessages[0]?.split('\n')[0] ?? 'failed'),
    ]),
  )
  return { results: Object.fromEntries(results), stderr }
}

plain(
  'dirql/vitest fails a test that leaks, and says what; it prints seed and crash record of one that fails',
  () => {
    const { results, stderr } = runFixture()
    expect(results).toEqual({
      'gives back what it takes': '',
      'queues work, and workers that stay are no leak': '',
      'leaks pool': "LeakError: the test leaks: pool tag 'Lost': 3 blocks, 300 bytes",
      'leaks a handle': expect.stringMatching(/^LeakError: the test leaks: .*1 kernel handle$/),
      'holds a spin lock': expect.stringMatching(/processor 0 holds the spin lock|ATTEMPTED_SWITCH_FROM_DPC/),
      stops: expect.stringMatching(/^BugCheckError: MANUALLY_INITIATED_CRASH \(0xE2\)/),
      'has two processors': '',
      'fails with a seed': expect.stringContaining('expected 2 to be 3'),
      'sleeps an hour at once': '',
    })
    expect(stderr).toContain('machine: seed 42')
    expect(stderr).toContain('*** STOP 0xE2 MANUALLY_INITIATED_CRASH (0x1, 0x2, 0x3, 0x4)')
    expect(stderr).toMatch(/at .*fixture\.ts:\d+, processor 0, IRQL 0/)
  },
  60_000,
)

test('machine is a booted machine of one processor that takes local functions', async ({ machine }) => {
  expect(machine.processors).toBe(1)
  expect(await machine.run((argument: number) => argument + 1, 1)).toBe(2)
})
