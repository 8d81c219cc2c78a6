/** The walking skeleton's gates: each fails when the mechanism that it is about is taken out. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { boot, BugCheckError, type BootOptions, type Machine } from '../../machine/index.ts'
import { nextTurn, sleepMs } from '../../hal/timers.ts'
import { MACHINES, until } from '../drivers/machines.ts'

const GATES = new URL('./drivers/gates.ts', import.meta.url)
const BUTTON = new URL('../../drivers/button/index.ts', import.meta.url)

/** The bug check that `doomed` ends in. */
async function bugCheckOf(doomed: Promise<unknown>): Promise<BugCheckError> {
  const error = await doomed.then(
    () => null,
    (reason: unknown) => reason,
  )
  if (error instanceof BugCheckError) return error
  throw new Error(`expected a bug check, got ${String(error)}`)
}

/** The bug check that `doom` ends in, on a machine that is shut down behind it. */
async function bugCheckOn(options: BootOptions, doom: (machine: Machine) => Promise<unknown>): Promise<BugCheckError> {
  await using machine = await boot(options)
  return await bugCheckOf(doom(machine))
}

/** The line of gates.ts that ends with `// here`, the `index`th. */
function lineMarked(index: number): number {
  const lines = readFileSync(GATES, 'utf8').split('\n')
  return lines.flatMap((line, number) => (line.endsWith('// here') ? [number + 1] : []))[index] as number
}

async function boots(): Promise<void> {
  await using machine = await boot()
  expect(await machine.run(GATES, 'makeGate')).toBeGreaterThan(0)
}

describe('the skeleton', () => {
  test.each(MACHINES)('a press reaches a program on %s', async (_name, options) => {
    await using machine = await boot({ ...options, drivers: [BUTTON], boards: [{ board: 'button' }] })
    const board = machine.board('button-0')
    await using file = await machine.open('Button-0')
    const reading = file.read(64)
    await machine.sleep(2)
    board.press()
    board.press()
    expect(new TextDecoder().decode(await reading)).toMatch(/^press 1 at \d+ us$/)
    expect(new TextDecoder().decode(await file.read(64))).toMatch(/^press 2 /)
    await file.write('1')
    await until(machine, 'the write', () => board.model.writes.length > 0)
    expect(board.model.writes).toEqual([{ device: 'button', offset: 12, value: 1 }])
    expect(board.lines()[0]).toMatchObject({ edges: 2, unclaimed: 0 })
  })

  test.each(MACHINES)('a read that waits ends when the board is pulled out, on %s', async (_name, options) => {
    await using machine = await boot({ ...options, drivers: [BUTTON], boards: [{ board: 'button' }] })
    const file = await machine.open('Button-0')
    const reading = file.read(64)
    const ended = reading.then(
      () => null,
      (reason: unknown) => reason,
    )
    await machine.sleep(2)
    await machine.board('button-0').unplug()
    expect(await ended).toMatchObject({ status: 0xc000009d | 0 })
    await file.close()
    await machine.board('button-0').plug()
    await using again = await machine.open('Button-1')
    machine.board('button-0').press()
    expect(new TextDecoder().decode(await again.read(64))).toMatch(/^press 1 /)
  })
})

describe('G1 identity', () => {
  test.each(MACHINES)('thread and IRQL are right behind every await, ten threads on %s', async (_name, options) => {
    await using machine = await boot(options)
    const threads = Array.from({ length: 10 }, () => machine.run(GATES, 'identity', 20))
    expect(await Promise.all(threads)).toEqual(Array(10).fill(0))
  })
})

describe('G3 mistakes have names', () => {
  test.each(MACHINES)('an await under a spin lock is a bug check at its line, on %s', async (_name, options) => {
    const error = await bugCheckOn(options, (machine) => machine.run(GATES, 'awaitUnderLock'))
    expect(error.code).toBe(0xb8)
    expect(error.message).toMatch(/spin lock at 0x[0-9a-f]+ held/)
    expect([error.file, error.line]).toEqual([GATES.pathname, lineMarked(0)])
    await boots()
  })

  test.each(MACHINES)('a forgotten await is a bug check at the line of the wait, on %s', async (_name, options) => {
    const error = await bugCheckOn(options, (machine) => machine.run(GATES, 'forgetAwait'))
    expect(error.code).toBe(0x121)
    expect([error.file, error.line]).toEqual([GATES.pathname, lineMarked(1)])
    await boots()
  })

  test('a worker that dies is named, and the program lives', async () => {
    await using machine = await boot({ processors: 2 })
    const error = await bugCheckOf(Promise.all([machine.run(GATES, 'die', null, 1), machine.sleep(10_000)]))
    expect(error.message).toMatch(/processor 1 died: the worker dies of this/)
    expect(error.file).toBe(GATES.pathname)
    await boots()
  })

  test('a worker that exits is named, and the program lives', async () => {
    await using machine = await boot({ processors: 2 })
    const error = await bugCheckOf(machine.run(GATES, 'exit', null, 1))
    expect(error.message).toMatch(/processor 1 is gone: its thread exited with code 3/)
    await boots()
  })

  test.each(['real', 'virtual'] as const)('a worker that hangs is named, on the %s clock', async (clock) => {
    await using machine = await boot({ processors: 2, watchdog: 300, clock })
    const error = await bugCheckOf(machine.run(GATES, 'hang', null, 1))
    expect(error.code).toBe(0x101)
    expect(error.message).toMatch(/processor 1 hangs/)
    await boots()
  })
})

describe('G4 virtual runs', () => {
  async function run(seed: number): Promise<{ hash: number; texts: string[] }> {
    await using machine = await boot({
      processors: 2,
      clock: 'virtual',
      seed,
      drivers: [BUTTON],
      boards: [{ board: 'button' }],
    })
    const texts: string[] = []
    await using file = await machine.open('Button-0')
    const threads = [machine.run(GATES, 'identity', 5, 0), machine.run(GATES, 'identity', 5, 1)]
    for (let press = 0; press < 10; press++) {
      await machine.sleep(3)
      machine.board('button-0').press()
      texts.push(new TextDecoder().decode(await file.read(64)))
    }
    expect(await Promise.all(threads)).toEqual([0, 0])
    return { hash: (await machine.inspect()).traceHash, texts }
  }

  test('two virtual runs with one seed have one trace hash', async () => {
    const first = await run(7)
    expect(first.hash).not.toBe(0)
    expect(await run(7)).toEqual(first)
  })

  test('another seed gives another order', async () => {
    expect((await run(8)).hash).not.toBe((await run(7)).hash)
  })
})

describe('G5 reboot', () => {
  test.each(['checked', 'free'] as const)(
    'a thread of a stopped machine that comes back leaves the next one untouched (%s build)',
    async (build) => {
      const folder = mkdtempSync(join(tmpdir(), 'dirql-'))
      const path = join(folder, 'file')
      try {
        const old = await boot({ build })
        const address = (await old.run(GATES, 'makeGate')) as number
        const late = old.run(GATES, 'comeBackLate', { address, path })
        const ended = late.catch((error: unknown) => error)
        await nextTurn()
        const hung = old.run(GATES, 'pollForever', address)
        expect((await bugCheckOf(hung)).code).toBe(0x133)
        await old.shutdown()
        await using machine = await boot({ build })
        expect(await machine.run(GATES, 'makeGate')).toBe(address)
        const before = await machine.run(GATES, 'readGate', address)
        writeFileSync(path, 'go')
        while (!existsSync(`${path}.back`)) await nextTurn()
        await sleepMs(20)
        expect(await machine.run(GATES, 'readGate', address)).toEqual(before)
        expect(await ended).toBeInstanceOf(Error)
        expect(machine.crash).toBeNull()
      } finally {
        rmSync(folder, { recursive: true })
      }
    },
  )
})

describe('G6 idle and storms', () => {
  test.each(MACHINES.slice(0, 2))('a file is read at once on an idle machine, %s', async (_name, options) => {
    await using machine = await boot(options)
    expect(await machine.run(GATES, 'readIdle', 20)).toBeLessThan(1000)
  })

  test.each(MACHINES.slice(0, 2))('an idle machine uses no CPU, %s', async (_name, options) => {
    await using machine = await boot(options)
    expect(await machine.run(GATES, 'idleShare', 1000)).toBeLessThan(0.5)
  })

  test.each(['stormOfWaits', 'stormOfDpcs'])('timers and messages keep coming under a %s', async (storm) => {
    for (const processors of [1, 2]) {
      await using machine = await boot({ processors })
      const address = (await machine.run(GATES, 'makeGate')) as number
      const stormy = machine.run(GATES, storm, address)
      await machine.sleep(50)
      await machine.run(GATES, 'setFlag', address)
      await stormy
    }
  })
})

describe('G7 polling', () => {
  const forever = async (machine: Machine): Promise<BugCheckError> => {
    const address = await machine.run(GATES, 'makeGate')
    return bugCheckOf(machine.run(GATES, 'pollForever', address))
  }

  test.each(MACHINES)('a loop that polls for a DPC ends, on %s', async (_name, options) => {
    await using machine = await boot(options)
    const address = (await machine.run(GATES, 'makeGate')) as number
    const processor = machine.processors - 1
    expect(await machine.run(GATES, 'pollForDpc', { address, processor })).toBeGreaterThanOrEqual(0)
  })

  test.each(MACHINES)('a loop that polls for what never comes is named, on %s', async (_name, options) => {
    await using machine = await boot(options)
    const error = await forever(machine)
    expect(error.code).toBe(0x133)
    expect(error.message).toMatch(/polled for \d+ ms at one stretch/)
    expect(error.file).toBe(GATES.pathname)
  })
})

describe('G8 snapshots', () => {
  const WORDS = 8
  const registers = Array.from({ length: WORDS }, (_, index) => ({
    name: `R${index}`,
    offset: index * 4,
    kind: 'status',
  }))
  const board = {
    name: 'snapshots',
    devices: [
      {
        name: 'device',
        hardwareIds: ['test\\snapshots'],
        registers,
        lines: [{ name: 'changed', dirql: 6, mode: 'level', snapshot: registers.map(({ name }) => name) }],
      },
    ],
  }

  /** Frames whose registers all have one value come without end, while a processor looks. */
  async function torn(locked: boolean, looks: number): Promise<{ torn: number; interrupts: number }> {
    await using machine = await boot({ processors: 2 })
    const plugged = await machine.plug({ board })
    const device = plugged.model.device('device')
    const { vector } = plugged.lines()[0] as { vector: number }
    const plan = { window: plugged.window('device'), vector, level: 6, processor: 0 }
    const address = await machine.run(GATES, 'connectSnapshot', plan)
    device.line('changed').assert()
    let value = 0
    let isOver = false
    const looking = machine.run(GATES, 'lookForTorn', { address, locked, looks }, 1).finally(() => {
      isOver = true
    })
    while (!isOver) {
      value += 1
      for (const { name } of registers) device.set(name, value)
      await nextTurn()
    }
    await looking
    return (await machine.run(GATES, 'tornSoFar', address)) as { torn: number; interrupts: number }
  }

  test('a snapshot is never torn under the interrupt lock', async () => {
    const seen = await torn(true, 100_000)
    expect(seen.interrupts).toBeGreaterThan(0)
    expect(seen.torn).toBe(0)
  })

  test('without the lock it is torn, sooner or later', async () => {
    let found = 0
    for (let round = 0; round < 20 && found === 0; round++) found = (await torn(false, 1_000_000)).torn
    expect(found).toBeGreaterThan(0)
  }, 120_000)
})
