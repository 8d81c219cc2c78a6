import { readdirSync, readFileSync } from 'node:fs'
import { posix } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { codeOf, importsOf, lineOf } from './source.ts'

/** The rooms of the house, and what each may import. `type …` allows types only; `*` any package. */
const KERNEL = {
  'kernel/ports': ['base', 'type kernel/mm/memory.ts'],
  'kernel/mm': ['base', 'kernel/ports', 'kernel/rtl'],
  'kernel/rtl': ['base', 'kernel/ports', 'kernel/mm'],
  'kernel/ke': ['base', 'kernel/ports', 'kernel/mm', 'kernel/rtl', 'node:async_hooks'],
  'kernel/ex': ['base', 'kernel/ports', 'kernel/mm', 'kernel/rtl', 'kernel/ke'],
  'kernel/ob': ['base', 'kernel/ports', 'kernel/mm', 'kernel/rtl', 'kernel/ke', 'kernel/ex'],
  'kernel/ps': ['base', 'kernel/ports', 'kernel/mm', 'kernel/rtl', 'kernel/ke', 'kernel/ex', 'kernel/ob'],
  'kernel/cm': ['base', 'kernel/ports', 'kernel/mm', 'kernel/rtl', 'kernel/ke', 'kernel/ex', 'kernel/ob'],
  'kernel/io': [
    ...['base', 'kernel/ports', 'kernel/mm', 'kernel/rtl', 'kernel/ke', 'kernel/ex', 'kernel/ob', 'kernel/ps'],
    'kernel/cm',
  ],
}
const UP_TO_IO = ['base', ...Object.keys(KERNEL)]
const WHOLE_KERNEL = [...UP_TO_IO, 'kernel/fsrtl', 'kernel/flt']
const DRIVER = ['ddi', 'classes', 'drivers/lib', 'dirql/*']
const EMULATORS = ['avr8js', 'rp2040js']
const DEVICES = ['serialport', '@serialport/*', 'node-hid', 'koffi', '@lydell/node-pty']
const PRODUCT = ['base', 'classes', 'wire', 'kernel', 'ddi', 'hal', 'firmware-sim', 'drivers', 'boards', 'machine']

const ARROWS: Record<string, readonly string[]> = {
  base: [],
  classes: ['base'],
  wire: ['base', 'classes'],
  ...KERNEL,
  'kernel/fsrtl': UP_TO_IO,
  'kernel/flt': [...UP_TO_IO, 'kernel/fsrtl'],
  'kernel/vf': WHOLE_KERNEL,
  'kernel/etw': WHOLE_KERNEL,
  ddi: WHOLE_KERNEL,
  'drivers/lib': DRIVER,
  drivers: DRIVER,
  hal: ['base', 'classes', 'wire', 'kernel/ports', 'kernel/mm/memory.ts', 'kernel/mm/access.ts', 'node:*', ...DEVICES],
  'firmware-sim': ['base', 'classes', 'wire', 'type kernel/ports', 'node:*', ...EMULATORS],
  boards: [],
  machine: [...PRODUCT, '*'],
  cli: [...PRODUCT, '*'],
  bench: [...PRODUCT, 'cli', '*'],
  soak: [...PRODUCT, '*'],
  scripts: [...PRODUCT, 'cli', 'bench', 'soak', '*'],
  test: [...PRODUCT, 'cli', 'bench', 'soak', 'scripts', '*'],
}

/** Who may read the clock, chance, the environment, and set the host's timers. */
const OUTSIDE_TIME = ['hal', 'cli', 'bench', 'soak', 'scripts', 'test']

const OUTSIDE_READS: Record<string, RegExp> = {
  'the clock': /\bnew\s+Date\b|\bDate\s*\(|\bDate\s*\.\s*now\b|\bperformance\s*\.|\bhrtime\b/g,
  'random numbers': /\bMath\s*\.\s*random\b|\bgetRandomValues\b|\brandom(?:UUID|Bytes|Int|Fill|FillSync)\b/g,
  'the environment': /\bprocess\s*\.\s*(?:env|argv)\b/g,
  "the host's timers": /(?:\bglobalThis\s*\.\s*|(?<![.\w$#]))set(?:Timeout|Interval|Immediate)\b/g,
}
const OUTSIDE_MODULES = /^(?:node:)?(?:timers|perf_hooks|crypto)(?:\/|$)/

/** Exceptions in `tidy.exceptions.json`. This number only goes down. */
const MOST_EXCEPTIONS = 0

interface Exception {
  file: string
  what: string
  why: string
}

const root = fileURLToPath(new URL('..', import.meta.url))
const read = (path: string): string => readFileSync(root + path, 'utf8')
const exceptions = JSON.parse(read('test/tidy.exceptions.json')) as Exception[]

const SKIPPED = new Set(['node_modules', 'dist', 'coverage', '.git'])
const TEXT = /(?:^|\/)run$|\.(?:[cm]?[jt]s|json|sh|ya?ml|c|h|cpp|ino|S|s|ld|py|mk)$|(?:^|\/)Makefile$/

function filesBelow(folder: string): string[] {
  return readdirSync(root + folder, { withFileTypes: true }).flatMap((entry) => {
    if (SKIPPED.has(entry.name)) return []
    const path = posix.join(folder, entry.name)
    if (entry.isDirectory()) return filesBelow(path)
    return entry.isFile() && TEXT.test(path) && entry.name !== 'package-lock.json' ? [path] : []
  })
}

const files = filesBelow('.')
const sources = files
  .filter((file) => /\.[cm]?[jt]s$/.test(file))
  .map((file) => ({ file, room: roomOf(file), text: read(file), code: codeOf(read(file)) }))

/** The longest room name that `path` lies in. */
function roomOf(path: string): string | undefined {
  const rooms = Object.keys(ARROWS).filter((room) => path.startsWith(`${room}/`))
  return rooms.sort((a, b) => b.length - a.length)[0]
}

/** What a source imports, as a path in the tree or the name of a package. */
function targetOf(file: string, specifier: string): string {
  return specifier.startsWith('.') ? posix.join(posix.dirname(file), specifier) : specifier
}

function allows(rule: string, target: string, isPackage: boolean, typeOnly: boolean): boolean {
  if (rule.startsWith('type ')) return typeOnly && allows(rule.slice(5), target, isPackage, typeOnly)
  if (rule === '*') return isPackage
  if (rule.endsWith('*')) return isPackage && target.startsWith(rule.slice(0, -1))
  return target === rule || target.startsWith(`${rule}/`)
}

/** The lines that break a rule, less the excepted ones. */
function less(broken: { file: string; line: number; what: string }[]): string[] {
  return broken.filter((one) => !exceptions.some((known) => matches(known, one))).map(show)
}
const show = ({ file, line, what }: { file: string; line: number; what: string }): string => `${file}:${line} ${what}`
const matches = (known: Exception, one: { file: string; what: string }): boolean =>
  known.file === one.file && known.what === one.what

function brokenArrows(room: string): { file: string; line: number; what: string }[] {
  const rules = ARROWS[room] ?? []
  return sources
    .filter((source) => source.room === room)
    .flatMap(({ file, text }) => {
      const own = room === 'drivers' ? file.split('/').slice(0, 2).join('/') : room
      return importsOf(text).flatMap(({ specifier, typeOnly, line }) => {
        const target = targetOf(file, specifier)
        const isPackage = !specifier.startsWith('.')
        const isInterface = room === 'drivers' && /^drivers\/[^/]+\/interface\.ts$/.test(target)
        const fine = isInterface || [own, ...rules].some((rule) => allows(rule, target, isPackage, typeOnly))
        return fine ? [] : [{ file, line, what: `imports ${target}` }]
      })
    })
}

function brokenReads(what: string): { file: string; line: number; what: string }[] {
  const pattern = OUTSIDE_READS[what]
  if (pattern === undefined) return []
  return sources
    .filter(({ room }) => room !== undefined && !OUTSIDE_TIME.includes(room))
    .flatMap(({ file, code }) =>
      [...code.matchAll(pattern)].map((match) => ({
        file,
        line: lineOf(code, match.index),
        what: `reads ${match[0]}`,
      })),
    )
}

function brokenModules(): { file: string; line: number; what: string }[] {
  return sources
    .filter(({ room }) => room !== undefined && !OUTSIDE_TIME.includes(room))
    .flatMap(({ file, text }) =>
      importsOf(text)
        .filter(({ specifier }) => OUTSIDE_MODULES.test(specifier))
        .map(({ specifier, line }) => ({ file, line, what: `imports ${specifier}` })),
    )
}

function linesWith(pattern: RegExp): string[] {
  return files.flatMap((file) =>
    read(file)
      .split('\n')
      .flatMap((line, index) => (pattern.test(line) ? [`${file}:${index + 1} ${line.trim()}`] : [])),
  )
}

describe('arrows', () => {
  test('every source file lies in a room of the table', () => {
    const homeless = sources.filter(({ file, room }) => room === undefined && file.includes('/'))
    expect(homeless.map(({ file }) => file)).toEqual([])
  })

  for (const room of Object.keys(ARROWS)) {
    const fact = room.startsWith('kernel/') ? 'imports nothing to its right' : 'imports only what the table allows'
    test(`${room} ${fact}`, () => {
      expect(less(brokenArrows(room))).toEqual([])
    })
  }

  test("every routine of the kernel's own is numbered before a driver is loaded", () => {
    const loaded = new Set<string>()
    const toLoad = ['machine/kernel.ts', 'machine/processor.ts']
    for (const file of toLoad) {
      if (loaded.has(file)) continue
      loaded.add(file)
      const text = sources.find((source) => source.file === file)?.text ?? ''
      toLoad.push(
        ...importsOf(text)
          .filter(({ typeOnly }) => !typeOnly)
          .map(({ specifier }) => targetOf(file, specifier)),
      )
    }
    const numbering = sources.filter(({ room, code }) => room?.startsWith('kernel/') && /\bkernelRoutine\(/.test(code))
    expect(numbering.map(({ file }) => file).filter((file) => !loaded.has(file))).toEqual([])
  })

  test('a relative import names its file with .ts', () => {
    const broken = sources
      .filter(({ file }) => file.endsWith('.ts'))
      .flatMap(({ file, text }) => importsOf(text).map((one) => ({ file, ...one })))
      .filter(({ specifier }) => specifier.startsWith('.') && !/\.(?:ts|json)$/.test(specifier))
    expect(broken.map(({ file, line, specifier }) => `${file}:${line} ${specifier}`)).toEqual([])
  })
})

describe(`outside ${OUTSIDE_TIME.join(', ')}`, () => {
  for (const what of Object.keys(OUTSIDE_READS)) {
    test(`nobody reads ${what}`, () => {
      expect(less(brokenReads(what))).toEqual([])
    })
  }

  test('nobody imports timers, perf_hooks or crypto', () => {
    expect(less(brokenModules())).toEqual([])
  })
})

describe('sources', () => {
  test('no file names a path of one machine', () => {
    expect(linesWith(/(?<![\w.*}-])\/(?:home|root|work)\//)).toEqual([])
  })

  test('no file holds a note to do something later', () => {
    expect(linesWith(/\b(?:TO)(?:DO)\b|\b(?:FIX)(?:ME)\b/)).toEqual([])
  })
})

describe('the list of exceptions', () => {
  test('only shrinks', () => {
    expect(exceptions.length).toBeLessThanOrEqual(MOST_EXCEPTIONS)
  })

  test('says why, and holds nothing that is no longer needed', () => {
    const broken = [...Object.keys(ARROWS).flatMap(brokenArrows), ...Object.keys(OUTSIDE_READS).flatMap(brokenReads)]
    const all = [...broken, ...brokenModules()]
    expect(exceptions.filter((known) => known.why === '' || !all.some((one) => matches(known, one)))).toEqual([])
  })
})

describe('what is code', () => {
  test.for([
    ['a comment', 'a // Date.now()\nb', 'a              \nb'],
    ['a block comment', 'a /* x\ny */ b', 'a     \n     b'],
    ['a string', `a 'it\\'s' b`, `a '     ' b`],
    ['a template', 'a `x${b + `y${c}`}z` d', 'a ` ${b + ` ${c}`} ` d'],
    ['a pattern', 'a = /[/"]\'/.test(b)', 'a = /     /.test(b)'],
    ['a division', 'a / b / "c"', 'a / b / " "'],
  ])('%s is told from code', ([, text, code]) => {
    expect(codeOf(text ?? '')).toBe(code)
  })

  test('an import is found in each of its forms', () => {
    const text = [
      `import type { A } from './a.ts'`,
      `import { type B, type C } from './b.ts'`,
      `import { type D, e } from './c.ts'`,
      `export * from './d.ts'`,
      `import './e.ts'`,
      `const f = await import('./f.ts')`,
      `new Worker(new URL('./g.ts', import.meta.url))`,
      `// import './h.ts'`,
      `const i = "import './i.ts'"`,
    ].join('\n')
    const found = importsOf(text).sort((a, b) => a.line - b.line)
    expect(found.map(({ specifier }) => specifier)).toEqual('abcdefg'.split('').map((name) => `./${name}.ts`))
    expect(found.map(({ typeOnly }) => typeOnly)).toEqual([true, true, false, false, false, false, false])
  })
})
