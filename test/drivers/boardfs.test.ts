/** drivers/boardfs as programs see it: boards of which it makes files, and what it tells of them. */
import { describe, expect, test } from 'vitest'
import { boot, type Machine } from '../../machine/index.ts'
import type { Change, UserFile } from '../../machine/user.ts'
import { driver, MACHINES, statusOf } from './machines.ts'

const BOARDFS = driver('boardfs')
const BUTTON = { drivers: [BOARDFS, driver('button')], boards: [{ board: 'button' }] }
const UNO = {
  drivers: [BOARDFS, driver('gpio'), driver('tmp102'), driver('at24')],
  boards: [{ board: 'arduino-uno', name: 'uno-0' }],
}

const FILE_NOTIFY_CHANGE_DIR_NAME = 2
const ROOT = '\\\\.\\BoardFs'
const STATUS = {
  objectNameNotFound: 0xc0000034 | 0,
  objectPathNotFound: 0xc000003a | 0,
  accessDenied: 0xc0000022 | 0,
  invalidParameter: 0xc000000d | 0,
  endOfFile: 0xc0000011 | 0,
  deletePending: 0xc0000056 | 0,
  notConnected: 0xc000009d | 0,
  cancelled: 0xc0000120 | 0,
} as const

const open = (machine: Machine, path: string): Promise<UserFile> => machine.open(`${ROOT}${path}`)

async function textOf(file: UserFile): Promise<string> {
  return new TextDecoder().decode(await file.read(64))
}

async function readText(machine: Machine, path: string): Promise<string> {
  await using file = await open(machine, path)
  return await textOf(file)
}

async function names(machine: Machine, path: string): Promise<string[]> {
  await using file = await open(machine, path)
  return (await file.list()).map(({ name }) => name)
}

/** What `doomed` fails with. */
const failure = (doomed: Promise<unknown>): Promise<unknown> =>
  doomed.then(
    () => null,
    (reason: unknown) => reason,
  )

/** Takes changes until `isLast` says so. */
async function take(changes: AsyncGenerator<Change, void>, isLast: (change: Change) => boolean): Promise<Change[]> {
  const taken: Change[] = []
  for (;;) {
    const { value } = await changes.next()
    if (value === undefined) return taken
    taken.push(value)
    if (isLast(value)) return taken
  }
}

describe.each(MACHINES)('a button board on %s', (_name, options) => {
  test('is a directory with its registers and its interrupts', async () => {
    await using machine = await boot({ ...options, ...BUTTON })
    expect(await names(machine, '')).toEqual(['button-0'])
    expect(await names(machine, '\\button-0')).toEqual(['button', 'interrupts'])
    expect(await names(machine, '\\button-0\\button\\')).toEqual(['state', 'presses', 'tick'])
    expect(await names(machine, '\\button-0\\interrupts\\0')).toEqual(['name', 'count'])
    expect(await readText(machine, '\\BUTTON-0\\Interrupts\\0\\Name')).toBe('button.press')
  })

  test('says what its registers hold now, and what its line has counted', async () => {
    await using machine = await boot({ ...options, ...BUTTON })
    await using count = await open(machine, '\\button-0\\interrupts\\0\\count')
    expect(await textOf(count)).toBe('0')
    const board = machine.board('button-0')
    board.press()
    board.release()
    board.press()
    for (let looks = 0; (await textOf(count)) !== '2'; looks++) {
      expect(looks).toBeLessThan(1000)
      await machine.sleep(1)
    }
    expect(await readText(machine, '\\button-0\\button\\presses')).toBe('2')
    expect(await readText(machine, '\\button-0\\button\\state')).toBe('1')
    board.release()
    await machine.sleep(5)
    expect(await readText(machine, '\\button-0\\button\\state')).toBe('0') // no frame has told it
    expect(board.lines()[0]).toMatchObject({ edges: 2, unclaimed: 0 })
  })

  test('tells watchers of a press, beside the driver of the button', async () => {
    await using machine = await boot({ ...options, ...BUTTON })
    await using directory = await open(machine, '\\button-0')
    await using button = await machine.open('Button-0')
    const changes = directory.watch({ tree: true })
    const first = changes.next()
    await machine.sleep(5)
    machine.board('button-0').press()
    expect(new TextDecoder().decode(await button.read(64))).toMatch(/^press 1 at/)
    const told = [
      (await first).value as Change,
      ...(await take(changes, ({ path }) => path === 'interrupts\\0\\count')),
    ]
    expect(told).toContainEqual({ action: 'modified', path: 'button\\presses' })
    expect(told).toContainEqual({ action: 'modified', path: 'interrupts\\0\\count' })
    expect(told.every(({ action }) => action === 'modified')).toBe(true)
  })

  test('loses no press that comes while nobody asks: the count tells', async () => {
    await using machine = await boot({ ...options, ...BUTTON })
    await using directory = await open(machine, '\\button-0\\interrupts')
    const changes = directory.watch({ tree: true })
    const first = changes.next()
    await machine.sleep(5)
    const board = machine.board('button-0')
    for (let press = 0; press < 50; press++) {
      board.press()
      board.release()
    }
    expect((await first).value).toEqual({ action: 'modified', path: '0\\count' })
    await machine.sleep(20)
    expect(await readText(machine, '\\button-0\\interrupts\\0\\count')).toBe('50')
  })

  test('comes and goes in the root, and ends what is open below it', async () => {
    await using machine = await boot({ ...options, ...BUTTON })
    await using root = await open(machine, '\\')
    await using directory = await open(machine, '\\button-0')
    await using count = await open(machine, '\\button-0\\interrupts\\0\\count')
    await using name = await open(machine, '\\button-0\\interrupts\\0\\name')
    const changes = root.watch()
    const first = changes.next()
    const inner = failure(directory.watch().next())
    await machine.sleep(5)
    const board = machine.board('button-0')
    await board.unplug()
    expect((await first).value).toEqual({ action: 'removed', path: 'button-0' })
    expect(await inner).toMatchObject({ status: STATUS.deletePending })
    expect(await failure(count.read(64))).toMatchObject({ status: STATUS.notConnected })
    expect(await failure(name.read(64))).toMatchObject({ status: STATUS.notConnected })
    expect(await failure(directory.list())).toMatchObject({ status: STATUS.deletePending })
    expect(await failure(directory.watch().next())).toMatchObject({ status: STATUS.deletePending })
    expect(await directory.info()).toEqual({ isDirectory: true, size: 0, isDeleted: true })
    expect(await root.list()).toEqual([])
    await board.plug()
    expect((await changes.next()).value).toEqual({ action: 'added', path: 'button-0' })
    expect(await readText(machine, '\\button-0\\interrupts\\0\\count')).toBe('0')
    expect(await failure(count.read(64))).toMatchObject({ status: STATUS.notConnected })
  })
})

describe.each(MACHINES)('an Uno on %s', (_name, options) => {
  test('has a file for each pin, chip and line', async () => {
    await using machine = await boot({ ...options, ...UNO })
    expect(await names(machine, '\\uno-0')).toEqual(['i2c0', 'gpio', 'adc0', 'interrupts'])
    expect(await names(machine, '\\uno-0\\gpio')).toEqual(Array.from({ length: 16 }, (_, index) => `d${index + 2}`))
    expect(await names(machine, '\\uno-0\\i2c0')).toContain('tmp102')
    expect(await names(machine, '\\uno-0\\i2c0\\tmp102')).toEqual(['temperature'])
    expect(await readText(machine, '\\uno-0\\interrupts\\1\\name')).toBe('gpio.pins')
  })

  test('has the temperature read by the chip’s driver, and memory at its offsets', async () => {
    await using machine = await boot({ ...options, ...UNO })
    machine.board('uno-0').set('tmp102.temperature', 21.5)
    const temperature = () => readText(machine, '\\uno-0\\i2c0\\tmp102\\temperature')
    for (let looks = 0; (await temperature()) !== '21.5'; looks++) {
      expect(looks).toBeLessThan(100) // the chip converts four times a second, by its own clock
      await machine.sleep(50)
    }
    await using memory = await open(machine, '\\uno-0\\i2c0\\at24\\data')
    expect(await memory.write('boards', { offset: 62 })).toBe(6) // over the end of a page
    expect(new TextDecoder().decode(await memory.read(4, { offset: 64 }))).toBe('ards')
  })

  test('sets an output pin, and tells who watches', async () => {
    await using machine = await boot({ ...options, ...UNO })
    await using directory = await open(machine, '\\uno-0\\gpio')
    await using pin = await open(machine, '\\uno-0\\gpio\\d13')
    expect(await failure(pin.write('1'))).toMatchObject({ status: STATUS.accessDenied })
    await using gpio = await machine.open('Gpio-0')
    await gpio.ioctl(0x222004, new Uint8Array(Uint32Array.of(13, 1, 0, 0, 0, 0).buffer))
    const changes = directory.watch()
    const first = changes.next()
    await machine.sleep(5)
    expect(await textOf(pin)).toBe('0')
    expect(await pin.write('1\n')).toBe(2)
    expect((await first).value).toEqual({ action: 'modified', path: 'd13' })
    expect(await textOf(pin)).toBe('1')
    expect(await failure(pin.write('x'))).toMatchObject({ status: STATUS.invalidParameter })
  })

  test('tells of a button that is a line of its own', async () => {
    await using machine = await boot({ ...options, ...UNO })
    await using root = await open(machine, '\\')
    const changes = root.watch({ tree: true })
    const first = changes.next()
    await machine.sleep(5)
    machine.board('uno-0').press('button')
    const told = [
      (await first).value as Change,
      ...(await take(changes, ({ path }) => path === 'uno-0\\interrupts\\2\\count')),
    ]
    expect(told).toContainEqual({ action: 'modified', path: 'uno-0\\gpio\\d2' })
    expect(await readText(machine, '\\uno-0\\gpio\\d2')).toBe('0')
    expect(await readText(machine, '\\uno-0\\interrupts\\2\\count')).toBe('1')
  })

  test('ends a read of a chip that is pulled out', async () => {
    await using machine = await boot({ ...options, ...UNO })
    await using temperature = await open(machine, '\\uno-0\\i2c0\\tmp102\\temperature')
    const reading = statusOf(temperature.read(64))
    await machine.board('uno-0').unplug()
    expect([null, STATUS.notConnected]).toContain(await reading) // it may have been quicker
    expect(await failure(temperature.read(64))).toMatchObject({ status: STATUS.notConnected })
  })
})

test.each(MACHINES)('boards that come and go under readers, listings and watchers, on %s', async (_name, options) => {
  await using machine = await boot({ ...options, ...BUTTON })
  await using root = await open(machine, '\\')
  const board = machine.board('button-0')
  let isOver = false
  const told: Change[] = []
  const controller = new AbortController()
  const watching = (async () => {
    for await (const change of root.watch({ filter: FILE_NOTIFY_CHANGE_DIR_NAME, signal: controller.signal })) {
      told.push(change)
    }
  })()
  const statuses = new Set<number | null>()
  const ask = async (): Promise<void> => {
    while (!isOver) {
      statuses.add(await statusOf(readText(machine, '\\button-0\\button\\presses')))
      statuses.add(await statusOf(names(machine, '\\button-0')))
      await machine.sleep(1)
    }
  }
  const press = async (): Promise<void> => {
    while (!isOver) {
      board.press()
      board.release()
      await machine.sleep(1)
    }
  }
  const others = [ask(), ask(), press()]
  for (let time = 0; time < 5; time++) {
    await machine.sleep(3)
    await board.unplug()
    await board.plug()
  }
  isOver = true
  await Promise.all(others)
  await machine.sleep(5)
  controller.abort()
  await watching
  const allowed = [
    null,
    STATUS.notConnected,
    STATUS.deletePending,
    STATUS.objectPathNotFound,
    STATUS.objectNameNotFound,
  ]
  expect(allowed).toEqual(expect.arrayContaining([...statuses]))
  expect(told.map(({ action }) => action)).toEqual(
    Array.from({ length: 10 }, (_, i) => (i % 2 === 0 ? 'removed' : 'added')),
  )
})

test.each(MACHINES.slice(2))('an Uno that runs its real firmware has the same files, on %s', async (_name, options) => {
  await using machine = await boot({
    ...options,
    ...UNO,
    boards: [{ board: 'arduino-uno', name: 'uno-0', at: 'emulated' }],
  })
  const board = machine.board('uno-0')
  board.set('tmp102.temperature', 30)
  await using root = await open(machine, '\\')
  const changes = root.watch({ tree: true })
  const first = changes.next()
  await machine.sleep(300)
  expect(await readText(machine, '\\uno-0\\gpio\\d2')).toBe('1')
  expect(await readText(machine, '\\uno-0\\i2c0\\tmp102\\temperature')).toBe('30')
  board.press('button')
  const told = [(await first).value as Change, ...(await take(changes, ({ path }) => path.endsWith('2\\count')))]
  expect(told).toContainEqual({ action: 'modified', path: 'uno-0\\i2c0\\transfers' })
  expect(told).toContainEqual({ action: 'modified', path: 'uno-0\\gpio\\d2' })
  expect(await readText(machine, '\\uno-0\\gpio\\d2')).toBe('0')
})

describe('a program', () => {
  async function withButton(body: (machine: Machine) => Promise<void>): Promise<void> {
    await using machine = await boot({ clock: 'virtual', ...BUTTON })
    await body(machine)
  }

  test.each([
    ['\\nothing', STATUS.objectNameNotFound],
    ['\\nothing\\below', STATUS.objectPathNotFound],
    ['\\button-0\\button\\state\\below', STATUS.objectPathNotFound],
  ])('that opens %s is told what is not there', (path, status) =>
    withButton(async (machine) => {
      expect(await failure(open(machine, path))).toMatchObject({ status })
    }),
  )

  test('makes nothing here', () =>
    withButton(async (machine) => {
      const make = (path: string, disposition: number): Promise<unknown> =>
        failure(machine.open(`${ROOT}${path}`, { disposition }))
      expect(await make('\\file', 2)).toMatchObject({ status: STATUS.accessDenied }) // FILE_CREATE
      expect(await make('\\file', 4)).toMatchObject({ status: STATUS.objectNameNotFound }) // FILE_OVERWRITE
      expect(await make('\\button-0', 2)).toMatchObject({ status: 0xc0000035 | 0 })
      expect(await make('\\button-0\\button\\state', 5)).toBeNull() // FILE_OVERWRITE_IF
    }))

  test('reads a file part by part, up to its end', () =>
    withButton(async (machine) => {
      await using file = await open(machine, '\\button-0\\interrupts\\0\\name')
      expect(await file.info()).toEqual({ isDirectory: false, size: 12, isDeleted: false })
      expect(new TextDecoder().decode(await file.read(4, { offset: 0 }))).toBe('butt')
      expect(new TextDecoder().decode(await file.read(64, { offset: 7 }))).toBe('press')
      expect(await failure(file.read(64, { offset: 12 }))).toMatchObject({ status: STATUS.endOfFile })
      expect(await failure(file.write('1'))).toMatchObject({ status: STATUS.accessDenied })
    }))

  test('lists a directory anew each time, and watches no file', () =>
    withButton(async (machine) => {
      await using file = await open(machine, '\\button-0\\interrupts\\0\\name')
      await using directory = await open(machine, '\\button-0')
      for (let time = 0; time < 2; time++) {
        expect(await directory.list()).toEqual([
          { name: 'button', isDirectory: true, size: 0 },
          { name: 'interrupts', isDirectory: true, size: 0 },
        ])
      }
      expect(await failure(file.watch().next())).toMatchObject({ status: STATUS.invalidParameter })
      expect(await failure(file.list())).toMatchObject({ status: STATUS.invalidParameter })
    }))

  test('lists what is longer than one answer', () =>
    withButton(async (machine) => {
      await machine.plug({ board: LARGE })
      expect(await names(machine, '\\large-0\\device')).toEqual(Array.from({ length: 100 }, (_, i) => `register_${i}`))
    }))

  test('cancels a read that another driver has', () =>
    withButton(async (machine) => {
      await machine.load(new URL('./images/waiting.ts', import.meta.url))
      await machine.plug({ board: WAITING })
      await using file = await open(machine, '\\waiting-0\\bus\\chip\\data')
      const controller = new AbortController()
      const reading = failure(file.read(64, { signal: controller.signal }))
      await machine.sleep(5)
      controller.abort()
      expect(await reading).toMatchObject({ status: STATUS.cancelled })
    }))

  test('that leaves nothing behind unloads the driver, with a board plugged in', () =>
    withButton(async (machine) => {
      await using root = await open(machine, '\\')
      expect(await root.list()).toHaveLength(1)
      await root.close()
      await machine.unload('boardfs')
      expect(await failure(open(machine, '\\'))).toMatchObject({ status: STATUS.objectPathNotFound })
      await machine.load(BOARDFS)
      expect(await names(machine, '\\')).toEqual(['button-0'])
    }))
})

const LARGE = {
  name: 'large',
  devices: [
    {
      name: 'device',
      hardwareIds: ['test\\nothing'],
      registers: Array.from({ length: 100 }, (_, i) => ({ name: `REGISTER_${i}`, offset: 4 * i, kind: 'status' })),
    },
  ],
}

/** A chip whose driver keeps every read until it is cancelled. */
const WAITING = {
  name: 'waiting',
  devices: [
    { name: 'bus', class: 'i2c', children: [{ name: 'chip', address: '0x20', hardwareIds: ['test\\waiting'] }] },
  ],
}
