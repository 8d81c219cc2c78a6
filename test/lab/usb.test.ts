import { beforeAll, describe, expect, test } from 'vitest'
import { type LabResult, markOf, titles } from './guest.ts'
import { noVm, runInVm, type VmRun } from './vm.ts'

/** Alone it takes two to three minutes; here other tests run beside it. */
const LIMIT_MS = 660_000

/** A regular expression for titles, for who works on some of them: LAB_ONLY='CP2102|CH340' npx vitest run test/lab. */
const only = process.env['LAB_ONLY'] ?? ''
const wanted = titles.filter((title) => new RegExp(only).test(title))

const reason = noVm()
const isSkipped = reason !== null && process.env['CI'] === undefined

describe.skipIf(isSkipped)(`in a machine with our USB devices${isSkipped ? ` (skipped: ${reason})` : ''}`, () => {
  let run: VmRun
  let results: Map<string, LabResult>

  beforeAll(async () => {
    if (reason !== null) throw new Error(`CI has no small machine: ${reason}`)
    run = await runInVm(`test/lab/guest.js '${only}'`, LIMIT_MS)
    results = new Map((run.results as LabResult[]).map((result) => [result.title, result]))
  }, LIMIT_MS + 60_000)

  test('runs all cases, and powers off', () => {
    const missing = wanted.filter((title) => !results.has(title))
    expect(missing, `${missing.length} were not run: ${run.console.slice(-4000)}\n${run.output}`).toEqual([])
  })

  test.each(wanted)('%s', (title) => {
    const result = results.get(title)
    const problem = result === undefined ? 'it was not run' : result.error
    expect(problem, `${problem}\nMeanwhile the kernel said:\n${saidDuring(title, run)}`).toBeNull()
  })
})

/** From the mark of this case to the next. */
function saidDuring(title: string, { console }: VmRun): string {
  const [, said = '(it is not known)'] = console.split(markOf(title))
  const end = said.indexOf(markOf('').trimEnd())
  return (end < 0 ? said : said.slice(0, end)).slice(-4000)
}
