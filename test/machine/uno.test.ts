import { expect, test } from 'vitest'
import { UnoOnRealClock, unoMemory } from '../../machine/uno.ts'
import { image } from '../firmware-sim/avr/bench.ts'

/** Gives back each line that the board sends. */
function listen(board: UnoOnRealClock): () => Promise<string> {
  const lines: string[] = []
  let told: (() => void) | null = null
  let rest = ''
  board.onData = (bytes) => {
    const parts = (rest + Buffer.from(bytes).toString('latin1')).split('\n')
    rest = parts.pop() ?? ''
    lines.push(...parts)
    told?.()
  }
  return async () => {
    while (lines.length === 0) {
      await new Promise<void>((resolve) => {
        told = resolve
      })
    }
    return lines.shift() as string
  }
}

test('an Uno in real time answers, is touched by hands, and tells what it has seen', async () => {
  const board = new UnoOnRealClock({ firmware: image('parts') })
  const line = listen(board)
  try {
    expect(await line()).toBe('ready')
    board.write(Buffer.from('i'))
    await line()
    board.press('button')
    board.release('button')
    board.set('temperature', 85)
    board.write(Buffer.from('p'))
    expect(await line()).toMatch(/^p081828282828/)
    board.write(Buffer.from('j'))
    expect((await line()).slice(0, 5)).toBe('j0001')
    const { log, mixedTransactions, overruns } = await board.report(true)
    expect(log[0]).toMatchObject({ address: 0x50, bytes: [1, 0, 0xa0, 0xa1, 0xa2, 0xa3], end: 'stop' })
    expect({ mixedTransactions, overruns }).toEqual({ mixedTransactions: 0, overruns: 0 })
  } finally {
    await board.powerOff()
  }
})

test('what is kept without power is there when it is switched on again', async () => {
  const memory = unoMemory()
  const boots: string[] = []
  for (let boot = 0; boot < 2; boot++) {
    const board = new UnoOnRealClock({ firmware: image('parts'), memory })
    const line = listen(board)
    await line()
    board.write(Buffer.from('b'))
    boots.push(await line())
    await board.powerOff()
  }
  expect(boots).toEqual(['b00', 'b01'])
})

test('its clock can run faster than real time', async () => {
  const board = new UnoOnRealClock({ firmware: image('parts') }, 1000)
  const line = listen(board)
  await line()
  board.write(Buffer.from('w')) // hangs until the watchdog comes, 64 ms later
  expect(await line()).toBe('wready')
  const { us } = await board.report()
  expect(us).toBeGreaterThan(64_000)
  await board.powerOff()
})

test('switched off it answers nothing, and its thread ends', async () => {
  const board = new UnoOnRealClock({ firmware: image('parts') })
  await board.powerOff()
  await expect(board.report()).rejects.toThrow('this Uno is switched off')
})

test('hands that reach for what is not there fail at once, and a firmware that is none ends the board', async () => {
  const board = new UnoOnRealClock({ firmware: image('parts') })
  expect(() => board.press('knob')).toThrow("this Uno has no pin 'knob'")
  expect(() => board.set('knob', 1)).toThrow("this Uno has no sensor 'knob'")
  await board.powerOff()
  const broken = new UnoOnRealClock({ firmware: 'none' })
  const error = await new Promise<Error>((resolve) => {
    broken.onGone = resolve
  })
  expect(error.message).toBe('HEX line 1: this is no record')
})
