import { spawnSync } from 'node:child_process'
import { expect, test } from 'vitest'
import { exportsOf, HEADERS, root } from './routines.ts'

/** The titles of all tests, each after those of the groups that it is in: what vitest itself collects. */
function allTitles(): string[] {
  const vitest = `${root}node_modules/vitest/vitest.mjs`
  const flags = ['list', '--json', '--no-static-parse', '--root', root]
  const { stdout, stderr } = spawnSync(process.execPath, [vitest, ...flags], { encoding: 'utf8', maxBuffer: 1 << 26 })
  try {
    return (JSON.parse(stdout) as { name: string }[]).map(({ name }) => name)
  } catch {
    throw new Error(`vitest could not list the tests:\n${stderr}`)
  }
}

const values: Record<string, unknown> = await import('../../ddi/fltkernel.ts')

test('each routine of the header modules has a test whose title begins with its name', { timeout: 120_000 }, () => {
  const tested = new Set(allTitles().flatMap((title) => title.split(' > ').map((part) => /^\w+/.exec(part)?.[0])))
  const routines = HEADERS.flatMap(exportsOf).filter(({ name, doc, isType }) => {
    const value = values[name]
    return !isType && typeof value === 'function' && !('kind' in value) && doc.includes('@irql')
  })
  expect(routines.length).toBeGreaterThan(400)
  expect(routines.filter(({ name }) => !tested.has(name)).map(({ file, name }) => `${file} ${name}`)).toEqual([])
})
