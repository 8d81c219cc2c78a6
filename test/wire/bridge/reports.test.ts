import fc from 'fast-check'
import { expect, test } from 'vitest'
import { fromReport, toReports } from '../../../wire/bridge/reports.ts'
import { openBench } from './bench.ts'

test('bytes come out of reports as they went in, whatever the size of a report', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 500 }), fc.integer({ min: 2, max: 256 }), (bytes, size) => {
      const reports = toReports(bytes, size)
      expect(reports.every((report) => report.length === size)).toBe(true)
      expect(reports.flatMap((report) => [...fromReport(report)])).toEqual([...bytes])
    }),
  )
})

test('a report whose length cannot be holds nothing', () => {
  expect(fromReport(Uint8Array.of(64, ...new Uint8Array(63))).length).toBe(0)
  expect(fromReport(Uint8Array.of(63, ...new Uint8Array(63))).length).toBe(63)
  expect(fromReport(new Uint8Array(0)).length).toBe(0)
})

test('a bridge works over reports, also when whole reports are lost', () => {
  const bench = openBench()
  let count = 0
  const inReports = (send: (bytes: Uint8Array) => void) => (bytes: Uint8Array) => {
    for (const report of toReports(bytes)) if (++count % 7 !== 0) send(fromReport(report))
  }
  bench.toBoard.send = inReports(bench.toBoard.send.bind(bench.toBoard))
  bench.toHost.send = inReports(bench.toHost.send.bind(bench.toHost))
  for (let value = 0; value < 100; value++) bench.host.write(0, 0, value)
  bench.flush()
  expect(bench.seen.asked).toEqual(Array.from({ length: 100 }, (_, value) => `write 0 0 ${value}`))
})
