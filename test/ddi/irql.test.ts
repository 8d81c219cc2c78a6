import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { type Documented, exportsOf, HEADERS, rangeOf, root, tagOf } from './routines.ts'

/** The contract: routine, lowest and highest IRQL, condition. */
const contract = new Map(
  readFileSync(`${root}test/ddi/irql.tsv`, 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.split('\t'))
    .map(([name = '', lowest, highest]) => [name, `${lowest}–${highest}`] as const),
)

const values: Record<string, unknown> = await import('../../ddi/fltkernel.ts')
const isWindowsName = (name: string): boolean => /^[A-Z]/.test(name)
const isRoutine = ({ name, isType }: Documented): boolean => {
  const value = values[name]
  if (isType || typeof value !== 'function' || !isWindowsName(name)) return false
  return !('kind' in value) && !/^class\b/.test(String(value))
}

const all = HEADERS.flatMap(exportsOf)
const routines = all.filter(isRoutine)
const show = ({ file, name }: Documented, what: string): string => `${file} ${name}: ${what}`

/** Routines of the kernel that name a page of Windows: drivers are meant to have them. */
function kernelRoutines(): string[] {
  const files = readdirSync(`${root}kernel`, { recursive: true, encoding: 'utf8' }).filter((file) =>
    file.endsWith('.ts'),
  )
  return files.flatMap((file) => {
    const text = readFileSync(`${root}kernel/${file}`, 'utf8')
    const found = text.matchAll(/\/\*\*((?:(?!\*\/)[^])*)\*\/\s*export (?:async )?function ([A-Z]\w+)/g)
    return [...found].filter(([, doc = '']) => doc.includes('@see')).map(([, , name = '']) => name)
  })
}

describe('header modules', () => {
  test('have every routine of the kernel that Windows documents', () => {
    expect(kernelRoutines().filter((name) => values[name] === undefined)).toEqual([])
  })

  test('each name is exported in one place', () => {
    const names = all.map(({ name }) => name)
    expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([])
  })

  test('every routine that a module has is found in its text', () => {
    const functions = Object.keys(values).filter((name) => typeof values[name] === 'function')
    expect(functions.filter((name) => !all.some((one) => one.name === name))).toEqual([])
    expect(routines.length).toBeGreaterThan(400)
  })
})

describe('doc comments of routines', () => {
  test('begin with a summary that is a sentence', () => {
    const broken = routines.filter(({ doc }) => !/^[A-Z][^@]*[.:]/.test(doc))
    expect(broken.map((one) => show(one, one.doc.split('\n')[0] ?? ''))).toEqual([])
  })

  test('have an @irql that can be read', () => {
    const broken = routines.filter(({ doc }) => rangeOf(tagOf(doc, 'irql') ?? '') === undefined)
    expect(broken.map((one) => show(one, `@irql ${tagOf(one.doc, 'irql')}`))).toEqual([])
  })

  test('have an @irql that is the contract’s', () => {
    const broken = all
      .filter((one) => (one.isType || isRoutine(one)) && contract.has(one.name))
      .map((one) => ({ one, range: rangeOf(tagOf(one.doc, 'irql') ?? ''), agreed: contract.get(one.name) }))
      .filter(({ range, agreed }) => range !== agreed)
    expect(broken.map(({ one, range, agreed }) => show(one, `@irql says ${range}, the contract ${agreed}`))).toEqual([])
  })

  test('name their page', () => {
    const broken = routines.filter(
      ({ doc }) => !/^https:\/\/learn\.microsoft\.com\/\S+$/m.test(tagOf(doc, 'see') ?? ''),
    )
    expect(broken.map((one) => show(one, `@see ${tagOf(one.doc, 'see')}`))).toEqual([])
  })
})
