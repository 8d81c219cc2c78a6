import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, test } from 'vitest'
import { titles } from './mocked.ts'
import { type MockRun, noUmockdev, runMocked } from './umockdev.ts'

const reason = noUmockdev()
const isSkipped = reason !== null && process.env['CI'] === undefined

describe.skipIf(isSkipped)(`among mocked devices${isSkipped ? ` (skipped: ${reason})` : ''}`, () => {
  let run: MockRun

  beforeAll(async () => {
    if (reason !== null) throw new Error(`CI has no mocked devices: ${reason}`)
    run = await runMocked(fileURLToPath(new URL('./mocked.ts', import.meta.url)))
  }, 60_000)

  for (const title of titles) {
    test(`${title}`, () => {
      expect(run.results.get(title) ?? null, run.results.get(title) ?? '').toBeNull()
      expect(run.results.has(title), `not run: ${run.output}`).toBe(true)
    })
  }
})
