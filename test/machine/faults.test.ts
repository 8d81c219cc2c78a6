import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, describe, expect, test } from 'vitest'
import { boot, type BootOptions, BugCheckError, LoadError, type Machine, UsageError } from '../../machine/index.ts'
import { KeBugCheckEx, KeDelayExecutionThread, KernelMode } from '../../ddi/wdm.ts'
import { BugCode } from '../../kernel/ke/bugcodes.ts'

const faulty = (name: string): URL => new URL(`./drivers/faults/${name}.ts`, import.meta.url)
const MISTAKES = faulty('mistakes')
const HANG = new URL('./programs/hang.ts', import.meta.url)

/** The line of `url` that ends with `// fault: name`. */
function lineOf(url: URL, name: string): number {
  const lines = readFileSync(url, 'utf8').split('\n')
  return lines.findIndex((line) => line.endsWith(`// fault: ${name}`)) + 1
}

async function rejection(promise: Promise<unknown>): Promise<Error> {
  try {
    await promise
  } catch (error) {
    return error as Error
  }
  throw new Error('nothing was rejected')
}

/** Boots, makes the mistake, and gives back the bug check; then boots again, and expects the next machine to be sound. */
async function mistake(
  options: BootOptions,
  make: (machine: Machine) => Promise<unknown>,
): Promise<{ error: BugCheckError; again: Error }> {
  let error: Error
  let again: Error
  {
    await using machine = await boot({ print: () => {}, ...options })
    error = await rejection(make(machine))
    again = await rejection(machine.run(MISTAKES, 'sound'))
  }
  await using next = await boot(options)
  expect(await next.run(MISTAKES, 'sound')).toBe(0)
  expect(error, String(error)).toBeInstanceOf(BugCheckError)
  return { error: error as BugCheckError, again }
}

interface Mistake {
  what: string
  /** The export to run, which is also the mark of the line. */
  routine: string
  code: number
  message: RegExp
  parameters?: unknown[]
  processors?: number[]
}

const MISTAKES_MADE: Mistake[] = [
  {
    what: 'an ISR that throws',
    routine: 'isr',
    code: BugCode.KMODE_EXCEPTION_NOT_HANDLED,
    message: /ISR throwingIsr .*from the ISR/,
  },
  {
    what: 'a DPC that throws',
    routine: 'dpc',
    code: BugCode.KMODE_EXCEPTION_NOT_HANDLED,
    message: /DPC routine throwingDpc .*from the DPC/,
  },
  {
    what: 'a thread that throws',
    routine: 'thread',
    code: BugCode.KMODE_EXCEPTION_NOT_HANDLED,
    message: /from the thread/,
  },
  {
    what: 'a wait at DISPATCH_LEVEL',
    routine: 'waitAtDispatch',
    code: BugCode.ATTEMPTED_SWITCH_FROM_DPC,
    message: /a wait that may block was asked for at DISPATCH_LEVEL/,
  },
  {
    what: 'an await at DISPATCH_LEVEL',
    routine: 'awaitAtDispatch',
    code: BugCode.ATTEMPTED_SWITCH_FROM_DPC,
    message: /an await at DISPATCH_LEVEL/,
  },
  {
    what: 'an await with a spin lock held',
    routine: 'awaitWithLock',
    code: BugCode.ATTEMPTED_SWITCH_FROM_DPC,
    message: /with the spin lock at 0x[0-9a-f]+ held/,
  },
  {
    what: 'a wait that was not awaited',
    routine: 'forgottenAwait',
    code: BugCode.DRIVER_VIOLATION,
    message: /write `await` before the call/,
  },
  {
    what: 'a spin lock taken twice',
    routine: 'lockTwice',
    code: BugCode.SPIN_LOCK_ALREADY_OWNED,
    message: /not recursive/,
  },
  {
    what: 'a spin lock released that is free',
    routine: 'releaseFree',
    code: BugCode.SPIN_LOCK_NOT_OWNED,
    message: /does not hold it/,
  },
  { what: 'a handle closed twice', routine: 'closeTwice', code: BugCode.INVALID_KERNEL_HANDLE, message: /./ },
  {
    what: 'pool freed twice',
    routine: 'freeTwice',
    code: BugCode.BAD_POOL_CALLER,
    message: /freed that is free already/,
    parameters: [7, expect.anything(), expect.anything(), expect.anything()],
  },
  {
    what: 'an exception outside every thread',
    routine: 'callback',
    code: BugCode.KMODE_EXCEPTION_NOT_HANDLED,
    message: /processor 1 died: outside every thread/,
    processors: [2],
  },
]

describe.each([1, 2])('on a machine of %i', (processors) => {
  const last = processors - 1
  test.for(MISTAKES_MADE.filter((made) => (made.processors ?? [1, 2]).includes(processors)))(
    '$what stops the machine, and is named with its line; the program boots again',
    async ({ routine, code, message, parameters }) => {
      const { error, again } = await mistake({ processors }, (machine) => machine.run(MISTAKES, routine, null, last))
      expect({ code: error.code, file: error.file, line: error.line }).toEqual({
        code,
        file: fileURLToPath(MISTAKES),
        line: lineOf(MISTAKES, routine),
      })
      expect(error.message).toMatch(message)
      expect(error.processor).toBe(last)
      expect(error.parameters).toEqual(parameters ?? error.parameters)
      expect(again).toBe(error)
    },
  )

  test.for([
    ['throws', 'Throws', 'dispatch', BugCode.KMODE_EXCEPTION_NOT_HANDLED],
    ['completes its IRP twice', 'Twice', 'completeTwice', BugCode.MULTIPLE_IRP_COMPLETE_REQUESTS],
  ] as const)('a dispatch routine that %s stops the machine, and is named with its line', async (made) => {
    const [, device, mark, code] = made
    const { error } = await mistake({ processors }, async (machine) => {
      await machine.load(MISTAKES)
      await machine.open(device)
    })
    expect([error.code, error.file, error.line]).toEqual([code, fileURLToPath(MISTAKES), lineOf(MISTAKES, mark)])
  })

  test('pool that is exhausted gives NULL and STATUS_INSUFFICIENT_RESOURCES', async () => {
    await using machine = await boot({ processors, memory: 4 * 1024 * 1024 })
    const { blocks, device } = (await machine.run(MISTAKES, 'exhaust')) as { blocks: number; device: number }
    expect(blocks).toBeGreaterThan(500)
    expect(device >>> 0).toBe(0xc000009a)
    expect(machine.crash).toBeNull()
  })

  test('a routine that is no export is an error of that call, which tells the remedy', async () => {
    await using machine = await boot({ processors })
    const error = await rejection(machine.run(MISTAKES, 'localRoutine', null, last))
    expect(error.name).toBe('RoutineError')
    expect(error.message).toMatch(/is not an exported function of a loaded driver image.*write `export function`/)
    expect(error.stack).toContain('mistakes.ts')
    expect(await machine.run(MISTAKES, 'sound')).toBe(0)
  })

  test('a context that is a JavaScript object is an error of that call, which tells the remedy', async () => {
    await using machine = await boot({ processors })
    const error = await rejection(machine.run(MISTAKES, 'objectContext', null, last))
    expect(error.message).toMatch(/struct/)
    expect(error.stack).toContain('mistakes.ts')
    expect(await machine.run(MISTAKES, 'sound')).toBe(0)
  })
})

describe('on two processors', () => {
  test('a spin lock released by another processor than the one that holds it stops the machine', async () => {
    const { error } = await mistake({ processors: 2, build: 'checked' }, async (machine) => {
      // The holder keeps its IRQL raised: its processor takes nothing more from here on.
      const address = await new Promise((resolve, reject) => {
        machine.run(MISTAKES, 'takeAndKeep', null, 0).then(resolve, reject)
      })
      await machine.run(MISTAKES, 'releaseOthers', address, 1)
    })
    expect([BugCode.SPIN_LOCK_NOT_OWNED, BugCode.ATTEMPTED_SWITCH_FROM_DPC]).toContain(error.code)
  })

  test('a processor whose thread exits stops the machine, which says so', async () => {
    const { error } = await mistake({ processors: 2 }, (machine) => machine.run(MISTAKES, 'exit', null, 1))
    expect(error.processor).toBe(1)
    expect(error.message).toMatch(
      /processor 1 is gone: its thread exited with code 7; a driver must not call process.exit/,
    )
  })

  test('a processor that hangs is CLOCK_WATCHDOG_TIMEOUT', async () => {
    const { error } = await mistake({ processors: 2, watchdog: 1500 }, (machine) =>
      machine.run(MISTAKES, 'hang', null, 1),
    )
    expect([error.code, error.processor]).toEqual([BugCode.CLOCK_WATCHDOG_TIMEOUT, 1])
    expect(error.message).toMatch(/processor 1 hangs: it came to no interruption point for \d+ ms/)
  })
})

test('a program that blocks its thread is told that devices stood still', async () => {
  const printed: string[] = []
  await using machine = await boot({ processors: 2, print: (text) => void printed.push(text) })
  const before = performance.now()
  while (performance.now() - before < 2200); // what a program must not do
  await machine.sleep(1000)
  expect(printed.join('')).toMatch(/the program's thread stood still for \d+ ms, and with it all devices/)
})

test('with a watchdog, a loop that never ends on one processor is ended, and named with its line', async () => {
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [fileURLToPath(HANG)])
  expect(JSON.parse(stdout)).toEqual({
    code: BugCode.CLOCK_WATCHDOG_TIMEOUT,
    file: fileURLToPath(MISTAKES),
    isTheLoop: true,
    next: 0,
  })
  expect(stderr).toMatch(/the processor hangs: no turn of the event loop for \d+ ms\n +at hang \(.*mistakes\.ts:\d+/)
})

describe('a driver image', () => {
  const folder = mkdtempSync(join(tmpdir(), 'dirql-faults-'))
  afterAll(() => rmSync(folder, { recursive: true }))

  /** A driver file that neither compiles nor may stand in the tree. */
  function written(name: string, text: string): URL {
    writeFileSync(join(folder, `${name}.ts`), text)
    return pathToFileURL(join(folder, `${name}.ts`))
  }

  const IMAGES: [string, () => URL, RegExp, number][] = [
    [
      'with a syntax error',
      () => written('syntax', 'export function DriverEntry( {\n'),
      /syntax.*cannot be imported from .*syntax\.ts/,
      0xc000007b,
    ],
    [
      'with an import that is missing',
      () => written('missing', "import './nowhere.ts'\n"),
      /missing.*cannot be imported.*nowhere\.ts/,
      0xc000007b,
    ],
    [
      'that throws while it is imported',
      () => written('top', "throw new Error('at the top')\n"),
      /cannot be imported.*at the top/,
      0xc000007b,
    ],
    ['that is not there', () => pathToFileURL(join(folder, 'gone.ts')), /cannot be imported.*gone\.ts/, 0xc000007b],
    [
      'without DriverEntry',
      () => faulty('noentry'),
      /has no DriverEntry: write `export function DriverEntry/,
      0xc0000263,
    ],
    [
      'whose DriverEntry fails',
      () => faulty('failingentry'),
      /was not loaded: STATUS_INSUFFICIENT_RESOURCES \(0xC000009A\)/,
      0xc000009a,
    ],
  ]

  for (const processors of [1, 2]) {
    test(`that cannot be loaded is a LoadError with file and reason, and others load, on ${processors}`, async () => {
      await using machine = await boot({ processors })
      for (const [what, image, message, status] of IMAGES) {
        const error = await rejection(machine.load(image()))
        expect(error, what).toBeInstanceOf(LoadError)
        expect(error.message, what).toMatch(message)
        expect((error as LoadError).status >>> 0, what).toBe(status)
      }
      expect(machine.crash).toBeNull()
      expect(await machine.load(MISTAKES)).toBe('mistakes')
    })

    test(`whose DriverEntry throws stops the machine, and is named with its line, on ${processors}`, async () => {
      const { error } = await mistake({ processors }, (machine) => machine.load(faulty('throwingentry')))
      expect([error.code, error.file, error.line, error.driver]).toEqual([
        BugCode.KMODE_EXCEPTION_NOT_HANDLED,
        fileURLToPath(faulty('throwingentry')),
        lineOf(faulty('throwingentry'), 'entry'),
        'throwingentry',
      ])
    })

    test(`that boot is to load and cannot leaves no machine behind, on ${processors}`, async () => {
      const error = await rejection(boot({ processors, drivers: [faulty('noentry')] }))
      expect(error).toBeInstanceOf(LoadError)
      await using machine = await boot({ processors })
      expect(machine.crash).toBeNull()
    })
  }

  test('loaded twice is a LoadError with STATUS_IMAGE_ALREADY_LOADED', async () => {
    await using machine = await boot()
    await machine.load(MISTAKES)
    const error = (await rejection(machine.load(MISTAKES))) as LoadError
    expect([error.name, error.status >>> 0]).toEqual(['LoadError', 0xc000010e])
  })

  test('lacks the export that is to run: the error lists what there is', async () => {
    await using machine = await boot()
    const error = await rejection(machine.run(faulty('noentry'), 'missing'))
    expect(error.message).toMatch(/exports no function 'missing'; it exports notDriverEntry/)
  })
})

describe('boot', () => {
  test.for([
    [{}, true],
    [{ trace: false }, false],
    [{ build: 'free' }, false],
    [{ build: 'free', trace: true }, true],
  ] as const)('with %j keeps the last events for the crash record: %j', async ([options, isKept]) => {
    await using machine = await boot({ ...options, localRoutines: true })
    await machine.run(async () => KeDelayExecutionThread(KernelMode, false, -10_000))
    const error = await rejection(machine.run(() => KeBugCheckEx(0xe2, 0, 0, 0, 0)))
    expect((error as BugCheckError).record.trace.length > 0).toBe(isKept)
  })

  test.for<[object, RegExp]>([
    [{ verifier: true }, /boot: the verifier is not there yet/],
    [{ processor: 2 }, /boot has no option 'processor'; it has processors/],
    [{ processors: 0 }, /processors is 0; it must be an integer from 1 to 32/],
    [{ processors: 1.5 }, /processors is 1.5/],
    [{ processors: '2' }, /processors is 2; it must be an integer/],
    [{ memory: 1000 }, /memory is 1000; it must be an integer from 1048576/],
    [{ clock: 'fast' }, /clock is "fast"; it must be 'real' or 'virtual'/],
    [{ build: 'debug' }, /build is "debug"; it must be 'checked' or 'free'/],
    [{ seed: -1 }, /seed is -1/],
    [{ watchdog: 1 }, /watchdog is 1/],
    [{ processors: 2, localRoutines: true }, /localRoutines needs processors: 1/],
    [{ drivers: ['https://example.org/driver.ts'] }, /is no file URL; write new URL/],
    [{ drivers: 'driver.ts' }, /drivers is "driver.ts"; it must be an array/],
    [{ localRoutines: 'yes' }, /localRoutines is "yes"; it must be true or false/],
    [{ print: 'stderr' }, /print is "stderr"; it must be a function/],
    [{ trace: 'no' }, /trace is "no"; it must be true or false/],
  ])('with %j is a UsageError that says what to write', async ([options, message]) => {
    const error = await rejection(boot(options as BootOptions).then((machine) => machine.shutdown()))
    expect(error, String(error)).toBeInstanceOf(UsageError)
    expect(error.message).toMatch(message)
  })

  test('on a thread that is a processor already is a UsageError', async () => {
    await using machine = await boot()
    const error = await rejection(boot())
    expect(error).toBeInstanceOf(UsageError)
    expect(error.message).toMatch(/shut that one down first .* or boot with processors: 2/)
    expect(machine.crash).toBeNull()
  })

  test('of a machine that is shut down rejects what is asked of it from then on', async () => {
    const machine = await boot({ processors: 2 })
    await machine.shutdown()
    const error = await rejection(machine.run(MISTAKES, 'sound'))
    expect(error.message).toMatch(/shut down/)
  })
})
