import { expect, test } from 'vitest'
import type { BusEntry } from '../../../firmware-sim/chips/bus.ts'
import { mixedTransactions } from '../../../firmware-sim/chips/sequences.ts'

const entry = (address: number, isRead: boolean, count: number, ack = true): BusEntry => ({
  time: 0,
  address,
  isRead,
  bytes: Array.from({ length: count }, () => 0),
  ack,
  end: 'stop',
})
const pointer = entry(0x48, false, 1)
const temperature = entry(0x48, true, 2)
const limit = entry(0x48, false, 3)
const address = entry(0x50, false, 2)
const data = entry(0x50, true, 64)
const page = entry(0x50, false, 66)
const busy = entry(0x50, false, 0, false)
const ready = entry(0x50, false, 0)

test.each<[string, BusEntry[], number]>([
  ['nothing', [], 0],
  ['sequences one after the other are whole', [pointer, temperature, address, data, page, busy, ready], 0],
  ['a pointer and its read, cut into', [pointer, address, temperature], 1],
  ['an address and its read, cut into', [address, temperature, data], 1],
  ['a page and its polls, cut into', [page, busy, temperature, busy, ready], 1],
  ['polls that are cut into twice are one sequence, cut twice', [page, temperature, busy, temperature, ready], 2],
  ['both cut into by the other', [pointer, address, temperature, data], 2],
  ['a write of a whole register opens nothing', [limit, address, data, limit], 0],
  ['a sequence that is begun anew was given up', [pointer, page, ready, pointer, temperature], 0],
  ['an address that was not acknowledged opens nothing', [entry(0x50, false, 0, false), pointer, temperature, data], 0],
  ['the end of the polls ends the sequence', [page, ready, pointer, temperature, ready], 0],
])('%s', (_, log, mixed) => {
  expect(mixedTransactions(log)).toBe(mixed)
})
