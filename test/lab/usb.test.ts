import { beforeAll, describe, expect, test } from 'vitest'
import { type LabResult, titles } from './guest.ts'
import { noVm, runInVm, type VmRun } from './vm.ts'

/** Alone it takes two to three minutes; here other tests run beside it. */
const LIMIT_MS = 420_000

const reason = noVm()
const isSkipped = reason !== null && process.env['CI'] === undefined

describe.skipIf(isSkipped)(`in a machine with our USB devices${isSkipped ? ` (skipped: ${reason})` : ''}`, () => {
  let run: VmRun
  let results: Map<string, LabResult>

  beforeAll(async () => {
    if (reason !== null) throw new Error(`CI has no small machine: ${reason}`)
    run = await runInVm('test/lab/guest.js', LIMIT_MS)
    results = new Map((run.results as LabResult[]).map((result) => [result.title, result]))
  }, LIMIT_MS + 60_000)

  for (const title of titles) {
    test(`${title}`, () => {
      const result = results.get(title)
      if (result === undefined) throw new Error(`not run: ${run.output}`)
      expect(result.error, result.error ?? '').toBeNull()
    })
  }
})
