/** What the header modules export, and what its doc comments say: read from the sources, as a person reads them. */
import { readFileSync } from 'node:fs'
import { posix } from 'node:path'
import { fileURLToPath } from 'node:url'

export interface Documented {
  name: string
  /** The file that defines it, from the root of the tree. */
  file: string
  /** Its doc comment without the stars; '' if there is none. */
  doc: string
  isType: boolean
}

export const root = fileURLToPath(new URL('../..', import.meta.url))
export const HEADERS = ['ddi/wdm.ts', 'ddi/ntifs.ts', 'ddi/fltkernel.ts']

const read = (file: string): string => readFileSync(root + file, 'utf8')

/** Everything that `header` exports itself, with what stands above its definition. */
export function exportsOf(header: string): Documented[] {
  const text = read(header)
  const found: Documented[] = []
  for (const [, typeOnly, names = '', path = ''] of text.matchAll(/^export (type )?\{([^}]*)\} from '([^']*)'/gm)) {
    const file = posix.join(posix.dirname(header), path)
    for (const one of names.split(',')) {
      const [, isType, name] = /^\s*(type )?(\w+)/.exec(one) ?? []
      if (name !== undefined)
        found.push({ name, file, isType: (typeOnly ?? isType) !== undefined, doc: docOf(file, name) })
    }
  }
  for (const [, path = ''] of text.matchAll(/^export \* from '(\.\.\/[^']*)'/gm)) {
    const file = posix.join(posix.dirname(header), path)
    for (const [, name = ''] of read(file).matchAll(/^export (?:function|const) (\w+)/gm)) {
      found.push({ name, file, isType: false, doc: docOf(file, name) })
    }
  }
  return found
}

/** The doc comment right above the (first) definition of `name`. */
function docOf(file: string, name: string): string {
  const pattern = new RegExp(
    `/\\*\\*((?:(?!\\*/)[^])*)\\*/\\s*export (?:async )?(?:function|const|type|interface|class) ${name}\\b`,
  )
  const comment = pattern.exec(read(file))?.[1] ?? ''
  return comment.replace(/^[ \t]*\*[ \t]?/gm, '').trim()
}

/** What stands behind a tag, to the next one. */
export function tagOf(doc: string, tag: string): string | undefined {
  return new RegExp(`@${tag}\\b([^]*?)(?=(?:^|\\s)@\\w|$(?![^]))`).exec(doc)?.[1]?.trim()
}

const LEVELS: Record<string, number | 'DIRQL'> = {
  PASSIVE_LEVEL: 0,
  APC_LEVEL: 1,
  DISPATCH_LEVEL: 2,
  SYNCH_LEVEL: 12,
  CLOCK_LEVEL: 13,
  IPI_LEVEL: 14,
  HIGH_LEVEL: 15,
  DIRQL: 'DIRQL',
}

/** The range that an `@irql` text means: `any`, `LEVEL`, `<= LEVEL`, `< LEVEL` or `>= LEVEL`, then `;` and conditions. */
export function rangeOf(text: string): string | undefined {
  const [range = ''] = text.split(';')
  if (range.trim() === 'any') return '0–15'
  const [, relation, name = ''] = /^(<=|<|>=)? ?(\w+)$/.exec(range.trim()) ?? []
  const level = LEVELS[name]
  if (level === undefined) return undefined
  if (relation === '<=') return `0–${level}`
  if (relation === '<') return `0–${Number(level) - 1}`
  return relation === '>=' ? `${level}–15` : `${level}–${level}`
}
