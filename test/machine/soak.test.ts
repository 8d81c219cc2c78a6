import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'

const SCRIPT = fileURLToPath(new URL('../../scripts/soak.ts', import.meta.url))

interface Ended {
  code: number | null
  stdout: string
  stderr: string
}

function soak(...args: string[]): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [SCRIPT, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
    let stdout = ''
    let stderr = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
    child.on('error', reject)
    child.on('close', (code) => resolve({ code, stdout, stderr }))
  })
}

describe('soak locks', () => {
  test('loses nothing under a lock on two processors, and something without', async () => {
    const { code, stdout, stderr } = await soak('locks', '--count', '200000', '--json')
    const result = JSON.parse(stdout) as { unguarded: number }
    expect({ ...result, unguarded: result.unguarded > 0 }, stderr).toEqual({
      soak: 'locks',
      count: 200_000,
      guarded: { spinLock: 0, interruptSpinLock: 0, pushLock: 0, fastMutex: 0, synchronizationEvent: 0 },
      unguarded: true,
    })
    expect(code).toBe(0)
  }, 60_000)
})

describe('soak handover', () => {
  test('loses no hand-over between two processors, with delays wherever one could be lost', async () => {
    const { code, stdout, stderr } = await soak('handover', '--count', '60000', '--json')
    expect(JSON.parse(stdout), stderr).toEqual({ soak: 'handover', count: 60_000, lost: 0 })
    expect(code).toBe(0)
  }, 60_000)

  test('says the seed first and last, and takes it', async () => {
    const { stderr } = await soak('handover', '--count', '100', '--seed', '7', '--json')
    const lines = stderr.trim().split('\n')
    expect([lines[0], lines.at(-1)]).toEqual([
      'seed 7: npm run -s soak -- handover --count 100 --seed 7 --json',
      'seed 7: npm run -s soak -- handover --count 100 --seed 7 --json',
    ])
  })

  test('without --json prints a table for people', async () => {
    const { stdout } = await soak('handover', '--count', '1000')
    expect(stdout).toMatch(/^handover: held\n +count +1,000\n +lost +0\n$/)
  })
})

describe('soak wire', () => {
  test.each(['1', '10'])('with %s per cent of the bytes damaged loses, doubles and reorders nothing', async (loss) => {
    const { code, stdout, stderr } = await soak('wire', '--count', '2000', '--loss', loss, '--json')
    const { retransmissions, ...result } = JSON.parse(stdout) as { retransmissions: number }
    expect(result, stderr).toEqual({ soak: 'wire', count: 2000, lost: 0, doubled: 0, reordered: 0 })
    expect(retransmissions).toBeGreaterThan(0)
    expect(code).toBe(0)
  })

  test('does the same for the same seed', async () => {
    const runs = await Promise.all([1, 2].map(() => soak('wire', '--count', '500', '--seed', '3', '--json')))
    expect(runs[0]?.stdout).toBe(runs[1]?.stdout)
  })
})

describe('soak unplug', () => {
  test('leaks nothing, leaves no request waiting, and gives each its right status', async () => {
    const { code, stdout, stderr } = await soak('unplug', '--count', '24', '--json')
    const nothing = { leakedBytes: 0, leakedHandles: 0, stuckIrps: 0 }
    expect(JSON.parse(stdout), stderr).toEqual({ soak: 'unplug', count: 24, ...nothing })
    expect(code, stderr).toBe(0)
  }, 60_000)
})

describe('soak hammer', () => {
  test('finds every count right and nobody starved', async () => {
    const { code, stdout, stderr } = await soak('hammer', '--count', '10000', '--json')
    const { longestWaitMs, ...result } = JSON.parse(stdout) as { longestWaitMs: number }
    expect(result, stderr).toEqual({ soak: 'hammer', count: 10_000, violations: 0 })
    expect(longestWaitMs).toBeGreaterThan(0)
    expect(code).toBe(0)
  }, 60_000)
})

describe('soak fuzz', () => {
  test('finds nothing that crashes or hangs', async () => {
    const { code, stdout, stderr } = await soak('fuzz', '--count', '6000', '--json')
    expect(JSON.parse(stdout), stderr).toEqual({ soak: 'fuzz', count: 6000, crashes: 0, hangs: 0 })
    expect(code).toBe(0)
  })
})

describe('soak, called wrongly, exits with 2 and says', () => {
  test.each([
    [['nope'], "unknown command 'nope'"],
    [['locks', '--count', 'many'], "'many' is invalid. It must be an integer"],
    [['locks', '--count', '0'], "'0' is invalid. It must be an integer"],
    [['locks', '--seed', '-1'], "'-1' is invalid. It must be an integer"],
    [['locks', '--cuont', '5'], '--count'],
    [['wire', '--loss', '90'], "'90' is invalid. It must be a number from 0 to 20"],
    [['locks', '--loss', '1'], "unknown option '--loss'"],
    [['locks', 'more'], 'too many arguments'],
    [[], 'Usage: soak'],
  ])('%j: %s', async (args, text) => {
    const { code, stdout, stderr } = await soak(...args)
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toContain(text)
  })

  test('and --help, which is right, exits with 0', async () => {
    const { code, stdout } = await soak('--help')
    expect(code).toBe(0)
    for (const name of ['locks', 'handover', 'wire', 'unplug', 'hammer', 'fuzz']) expect(stdout).toContain(name)
  })
})
