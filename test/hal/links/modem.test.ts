import { expect, test } from 'vitest'
import { LineState } from '../../../hal/links/modem.ts'
import { MODEM_LINES } from '../../../hal/links/modemlines.ts'

const NONE = { cts: 0, dsr: 0, ri: 0, dcd: 0 }

test('counts begin at zero with the first report', () => {
  const state = new LineState(MODEM_LINES)
  expect(state.take({ counts: [5, 6, 7, 8, 1, 2, 3, 4], levels: 0b1001 })).toBe(true)
  expect(state.counts).toEqual(NONE)
  expect(state.levels).toEqual({ cts: true, dsr: false, ri: false, dcd: true })
  expect(state.counted).toEqual(['cts', 'dsr', 'ri', 'dcd'])
})

test('a pulse that left no level changed is counted', () => {
  const state = new LineState(MODEM_LINES)
  state.take({ counts: [0, 0, 0, 0, 0, 0, 0, 0], levels: 0 })
  expect(state.take({ counts: [0, 2, 0, 0, 0, 0, 0, 0], levels: 0 })).toBe(true)
  expect(state.counts).toEqual({ ...NONE, dsr: 2 })
})

test('the kernel counter may wrap', () => {
  const state = new LineState(MODEM_LINES)
  state.take({ counts: [0xffffffff, 0, 0, 0, 0, 0, 0, 0], levels: 0 })
  state.take({ counts: [3, 0, 0, 0, 0, 0, 0, 0], levels: 0 })
  expect(state.counts.cts).toBe(4)
})

test('where nobody counts, changes of the level that were seen are', () => {
  const state = new LineState(MODEM_LINES)
  for (const levels of [0b0000, 0b0001, 0b0001, 0b0100, 0b0000]) state.take({ counts: null, levels })
  expect(state.counted).toEqual([])
  expect(state.counts).toEqual({ ...NONE, cts: 2, ri: 2 })
})

test('of a line that the driver does not count, changes of the level are, whatever its counter says', () => {
  const state = new LineState(['cts', 'dsr'])
  state.take({ counts: [0, 0, 0, 0, 0, 0, 0, 0], levels: 0 })
  expect(state.take({ counts: [0, 0, 0, 0, 0, 0, 0, 0], levels: 0b1000 })).toBe(true)
  expect(state.take({ counts: [4, 0, 9, 0, 0, 0, 0, 0], levels: 0b0100 })).toBe(true)
  expect(state.counts).toEqual({ cts: 4, dsr: 0, ri: 1, dcd: 2 })
})

test('a report that brings nothing new is none', () => {
  const state = new LineState(MODEM_LINES)
  const report = { counts: [1, 2, 3, 4, 5, 6, 7, 8], levels: 3 }
  state.take(report)
  expect(state.take({ ...report })).toBe(false)
})

test('errors are counted by kind, where no line is counted too', () => {
  for (const countable of [MODEM_LINES, []]) {
    const state = new LineState(countable)
    state.take({ counts: [0, 0, 0, 0, 0, 0, 0, 0], levels: 0 })
    expect(state.take({ counts: [0, 0, 0, 0, 1, 2, 3, 4], levels: 0 })).toBe(true)
    expect(state.errors).toEqual({ frame: 1, overrun: 2, parity: 3, break: 4 })
  }
})
