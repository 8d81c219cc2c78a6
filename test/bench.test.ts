/** The command of the benchmarks: what it prints for a cheap one, and what for none. No figure is looked at. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { atLeast, atMost, meets, type Result } from '../bench/benchmark.ts'

const BENCH = fileURLToPath(new URL('../bench/index.ts', import.meta.url))
const CHEAP = 'timer'

interface Ended {
  code: number
  stdout: string
  stderr: string
}

async function bench(...args: string[]): Promise<Ended> {
  try {
    return { code: 0, ...(await promisify(execFile)(process.execPath, [BENCH, ...args])) }
  } catch (error) {
    return error as Ended
  }
}

test('bench --json prints one JSON object, with figures, peers, limits, ratios and runs by name', async () => {
  const { code, stdout } = await bench('--json', '--quick', CHEAP)
  expect(code).toBe(0)
  const peer = 'setTimeout and clearTimeout'
  expect(JSON.parse(stdout)).toEqual({
    [CHEAP]: {
      ours: expect.any(Number),
      unit: 'ns',
      peers: { [peer]: expect.any(Number) },
      limits: {},
      ratios: { [peer]: expect.any(Number) },
      runs: expect.any(Number),
    },
  })
})

test('bench with an unknown name prints which there are, and exits with 2', async () => {
  const { code, stdout, stderr } = await bench('--json', '--quick', 'nothing')
  expect(code).toBe(2)
  expect(stdout).toBe('')
  expect(stderr).toMatch(/no benchmark 'nothing'; there are .*\bspinlock\b.*\bbridge\b/)
})

const result = (ours: number, ratio: number): Result => ({
  ours,
  unit: 'ns',
  peers: { peer: ours / ratio },
  limits: {},
  ratios: { peer: ratio },
  runs: 1,
})

test('a goal is met by the figure itself, or by its ratio to a peer, and by nothing where the peer could not be had', () => {
  const goals = [atMost(10), atLeast(10), atMost(2, 'peer'), atLeast(2, 'peer'), atMost(2, 'nobody')]
  expect(goals.map((goal) => meets(result(9, 3), goal))).toEqual([true, false, false, true, null])
})
