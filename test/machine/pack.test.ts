import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))
const tsc = join(root, 'node_modules/typescript/bin/tsc')
const place = mkdtempSync(join(tmpdir(), 'dirql-pack-'))
const project = join(place, 'project')

const execute = promisify(execFile)
async function run(cwd: string, program: string, ...args: string[]): Promise<string> {
  try {
    return (await execute(program, args, { cwd })).stdout
  } catch (error) {
    const { message, stdout } = error as Error & { stdout: string }
    throw new Error(`${message}\n${stdout}`, { cause: error })
  }
}
const node = (cwd: string, ...args: string[]): Promise<string> => run(cwd, process.execPath, ...args)

/** The npm that runs the tests, where npm does; `npm` is no program on Windows. */
function npm(cwd: string, ...args: string[]): Promise<string> {
  const cli = process.env['npm_execpath']
  return cli === undefined ? run(cwd, 'npm', ...args) : node(cwd, cli, ...args)
}

interface Packed {
  filename: string
  files: { path: string }[]
}
let packed: Packed

beforeAll(async () => {
  const dist = join(place, 'dist')
  await node(root, 'scripts/build.ts', dist)
  packed = (JSON.parse(await npm(dist, 'pack', '--json', '--pack-destination', place)) as [Packed])[0]
  mkdirSync(project)
  cpSync(join(root, 'test/machine/programs/packed'), project, { recursive: true })
  writeFileSync(join(project, 'package.json'), JSON.stringify({ private: true, type: 'module' }))
  const flags = ['--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error']
  await npm(project, 'install', ...flags, join(place, packed.filename))
}, 60_000)

afterAll(() => rmSync(place, { recursive: true, force: true }))

test('the package holds JavaScript and types, no TypeScript sources and no tests', () => {
  const sources = packed.files.filter(
    ({ path }) => /(?<!\.d)\.ts$/.test(path) || /^(?:test|bench|scripts)\//.test(path),
  )
  expect(sources).toEqual([])
})

test('the package depends on nothing that only developers need', () => {
  const manifest = JSON.parse(readFileSync(join(project, 'node_modules/dirql/package.json'), 'utf8')) as {
    devDependencies?: object
    peerDependenciesMeta: object
  }
  expect(manifest.devDependencies).toBeUndefined()
  expect(manifest.peerDependenciesMeta).toEqual({ vitest: { optional: true } })
})

test("a program boots machines of one and of two processors from the package, with a driver of the user's in .ts", async () => {
  const lines = (await node(project, 'main.ts')).trim().split('\n')
  const counted = { count: 1000, irql: 2 }
  expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
    { processors: 1, name: 'driver', runs: [counted] },
    { processors: 2, name: 'driver', runs: [counted, counted] },
  ])
})

test("the package's types check, strictly, and the user's driver against them", async () => {
  // Types of Node are the user's own choice; the project that tests this has them.
  for (const name of ['@types/node', 'undici-types']) {
    mkdirSync(join(project, 'node_modules', name, '..'), { recursive: true })
    symlinkSync(join(root, 'node_modules', name), join(project, 'node_modules', name), 'junction')
  }
  await node(project, tsc, '-p', '.')
  writeFileSync(join(project, 'wrong.ts'), "import { struct } from 'dirql/wdm'\nstruct('X', { a: 5 })\n")
  await expect(node(project, tsc, '-p', '.')).rejects.toThrow(/wrong\.ts\(2,\d+\): error TS/)
})
