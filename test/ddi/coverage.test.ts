import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { exportsOf, HEADERS, root } from './routines.ts'

/** `test('Title`, `test.skipIf(…)('Title`, and the title behind the rows of `test.each([…])('Title`. */
const TITLE = /\b(?:test|it)(?:\.\w+)?\(\s*(['"`])(\w+)(?=\W)|\)\(\s*(['"`])(\w+)(?=\W)/g

function firstWords(): Set<string> {
  const words = new Set<string>()
  for (const file of readdirSync(`${root}test`, { recursive: true, encoding: 'utf8' })) {
    if (!file.endsWith('.test.ts')) continue
    for (const [, , word, , behind] of readFileSync(`${root}test/${file}`, 'utf8').matchAll(TITLE)) {
      words.add(word ?? behind ?? '')
    }
  }
  return words
}

const values: Record<string, unknown> = await import('../../ddi/fltkernel.ts')

test('each routine of the header modules has a test whose title begins with its name', () => {
  const tested = firstWords()
  const routines = HEADERS.flatMap(exportsOf).filter(({ name, doc, isType }) => {
    const value = values[name]
    return !isType && typeof value === 'function' && !('kind' in value) && doc.includes('@irql')
  })
  expect(routines.length).toBeGreaterThan(400)
  expect(routines.filter(({ name }) => !tested.has(name)).map(({ file, name }) => `${file} ${name}`)).toEqual([])
})
