import { describe, expect, test } from 'vitest'
import { boot, type BootOptions, type Machine } from '../../machine/index.ts'
import type { UserFile } from '../../machine/user.ts'
import {
  driver,
  MACHINES,
  STATUS_BUFFER_TOO_SMALL,
  STATUS_CANCELLED,
  STATUS_NOT_CONNECTED,
  statusOf,
  text,
  until,
  VIRTUAL,
} from './machines.ts'

const BOARDS = [{ board: 'button', name: 'button-0' }]
const PNP = new URL('./images/pnp.ts', import.meta.url)

interface Button {
  machine: Machine
  file: UserFile
  press(): void
  /** Writes to the light that have reached the board. */
  lights(): number[]
}

async function withButton(options: BootOptions, body: (button: Button) => Promise<void>): Promise<void> {
  await using machine = await boot({ ...options, drivers: [driver('button')], boards: BOARDS })
  await using file = await machine.open('Button-0')
  const board = machine.board('button-0')
  await body({
    machine,
    file,
    press: () => board.press(),
    lights: () => board.model.writes.map(({ value }) => value),
  })
}

/** The number of the press that a read tells. */
async function number(reading: Promise<Uint8Array>): Promise<number> {
  const [, told = ''] = /^press (\d+) at \d+ us$/.exec(text(await reading)) ?? []
  return Number(told)
}

describe('a read', () => {
  test.each(MACHINES)('waits for a press, and presses that nobody waited for are told later, on %s', (_name, options) =>
    withButton(options, async ({ machine, file, press }) => {
      const waiting = number(file.read(64))
      await machine.sleep(2)
      press()
      expect(await waiting).toBe(1)
      for (let times = 0; times < 3; times++) press()
      expect([await number(file.read(64)), await number(file.read(64)), await number(file.read(64))]).toEqual([2, 3, 4])
    }),
  )

  test.each(MACHINES)('is told one press, whoever reads first gets the first, on %s', (_name, options) =>
    withButton(options, async ({ machine, file, press }) => {
      const reads: Promise<number>[] = []
      for (let times = 0; times < 5; times++) {
        reads.push(number(file.read(64)))
        await machine.sleep(1)
      }
      for (let times = 0; times < 5; times++) press()
      expect(await Promise.all(reads)).toEqual([1, 2, 3, 4, 5])
    }),
  )

  test.each(MACHINES)('whose buffer is too small fails, and the press is told to the next, on %s', (_name, options) =>
    withButton(options, async ({ machine, file, press }) => {
      const small = statusOf(file.read(5))
      await machine.sleep(1)
      const large = number(file.read(64))
      await machine.sleep(1)
      press()
      expect([await small, await large]).toEqual([STATUS_BUFFER_TOO_SMALL, 1])
      press()
      await machine.sleep(1)
      expect(await statusOf(file.read(0))).toBe(STATUS_BUFFER_TOO_SMALL)
      expect(await number(file.read(64))).toBe(2)
    }),
  )

  test.each(MACHINES)('that is cancelled ends, and the press is told to the next, on %s', (_name, options) =>
    withButton(options, async ({ machine, file, press }) => {
      const control = new AbortController()
      const cancelled = statusOf(file.read(64, { signal: control.signal }))
      await machine.sleep(1)
      control.abort()
      expect(await cancelled).toBe(STATUS_CANCELLED)
      const next = number(file.read(64))
      press()
      expect(await next).toBe(1)
    }),
  )

  test.each(MACHINES)('loses no press when a cancel meets it, on %s', (_name, options) =>
    withButton(options, async ({ machine, file, press }) => {
      const told: number[] = []
      for (let times = 1; times <= 50; times++) {
        const control = new AbortController()
        const reading = number(file.read(64, { signal: control.signal }))
        if (times % 3 === 0) await machine.sleep(1)
        press()
        control.abort()
        told.push(await reading.catch(() => number(file.read(64))))
      }
      expect(told).toEqual(Array.from({ length: 50 }, (_, index) => index + 1))
    }),
  )

  test('ends when its file is closed, those of other files wait on', () =>
    withButton(VIRTUAL, async ({ machine, file, press }) => {
      const other = await machine.open('Button-0')
      const ended = statusOf(other.read(64))
      await machine.sleep(1)
      const waiting = number(file.read(64))
      await machine.sleep(1)
      await other.close()
      expect(await ended).toBe(STATUS_CANCELLED)
      press()
      expect(await waiting).toBe(1)
    }))

  test.each(MACHINES)('ends when the board is pulled out, and so does a write, on %s', (_name, options) =>
    withButton(options, async ({ machine, file }) => {
      const ended = [statusOf(file.read(64)), statusOf(file.read(64))]
      await machine.sleep(1)
      await machine.board('button-0').unplug()
      expect(await Promise.all(ended)).toEqual([STATUS_NOT_CONNECTED, STATUS_NOT_CONNECTED])
      expect(await statusOf(file.read(64))).toBe(STATUS_NOT_CONNECTED)
      expect(await statusOf(file.write('1'))).toBe(STATUS_NOT_CONNECTED)
    }),
  )
})

test.each(MACHINES)('the light goes on with any byte but 0, on %s', (_name, options) =>
  withButton(options, async ({ machine, file, lights }) => {
    expect([await file.write('1'), await file.write('off'), await file.write('0')]).toEqual([1, 3, 1])
    await until(machine, 'the last write', () => lights().length === 3)
    expect(lights()).toEqual([1, 1, 0])
    expect(await statusOf(file.write(''))).toBe(STATUS_BUFFER_TOO_SMALL)
  }),
)

describe('a device that is stopped and started again', () => {
  test.each(MACHINES)('keeps its reads, its presses and its light, on %s', (_name, options) =>
    withButton(options, async ({ machine, file, press, lights }) => {
      press()
      expect(await number(file.read(64))).toBe(1)
      press()
      await machine.sleep(2)
      expect([await machine.run(PNP, 'queryStop', 'Button-0'), await machine.run(PNP, 'stop', 'Button-0')]).toEqual([
        0, 0,
      ])
      const waiting = [number(file.read(64))]
      await machine.sleep(1)
      waiting.push(number(file.read(64)))
      press()
      await file.write('1')
      await machine.sleep(5)
      expect(lights()).toEqual([])
      expect(await machine.run(PNP, 'start', 'Button-0')).toBe(0)
      expect(await Promise.all(waiting)).toEqual([2, 3])
      await until(machine, 'the light', () => lights().length === 1)
      expect(machine.board('button-0').lines()[0]).toMatchObject({ edges: 3 })
    }),
  )

  test('turns its light off that was on before', () =>
    withButton(VIRTUAL, async ({ machine, file, lights }) => {
      await file.write('1')
      await machine.run(PNP, 'stop', 'Button-0')
      await file.write('0')
      await machine.run(PNP, 'start', 'Button-0')
      await machine.sleep(1)
      expect(lights()).toEqual([1, 0])
    }))

  test('ends its reads when the board is pulled out meanwhile', () =>
    withButton(VIRTUAL, async ({ machine, file }) => {
      await machine.run(PNP, 'stop', 'Button-0')
      const ended = statusOf(file.read(64))
      await machine.sleep(1)
      await machine.board('button-0').unplug()
      expect(await ended).toBe(STATUS_NOT_CONNECTED)
    }))
})

test('a driver that is loaded again does not tell what was told before', async () => {
  await using machine = await boot({ ...VIRTUAL, boards: BOARDS })
  const board = machine.board('button-0')
  const name = await machine.load(driver('button'))
  {
    await using file = await machine.open('Button-0')
    board.press()
    expect(await number(file.read(64))).toBe(1)
  }
  await machine.unload(name)
  await machine.load(driver('button'))
  await using file = await machine.open('Button-0')
  const waiting = number(file.read(64))
  await machine.sleep(2)
  board.press()
  expect(await waiting).toBe(2)
})
