/** The published form of this package, built when a benchmark first needs it, and again when a source has changed. */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, globSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { boot } from '../machine/index.ts'
import { Skip } from './benchmark.ts'
import { CACHE } from './cache.ts'

const ROOT = join(import.meta.dirname, '..')
const BUILD = join(ROOT, 'scripts', 'build.ts')
const SOURCES = '{base,classes,cli,ddi,drivers,firmware-sim,hal,kernel,machine,wire}/**/*.ts'
const STEM = 'dist-'

/** Where it lies. */
export function dist(): string {
  const path = join(CACHE, `${STEM}${stamp()}`)
  if (existsSync(path)) return path
  console.error('bench: building the package')
  for (const old of existsSync(CACHE) ? readdirSync(CACHE) : []) {
    if (old.startsWith(STEM)) rmSync(join(CACHE, old), { recursive: true })
  }
  const unfinished = `${path}.${process.pid}`
  const { status, stdout, stderr } = spawnSync(process.execPath, [BUILD, unfinished], { cwd: ROOT, encoding: 'utf8' })
  if (status !== 0) throw new Skip(`the package cannot be built: ${stdout}${stderr}`)
  renameSync(unfinished, path)
  return path
}

/** Changes when a source does. */
function stamp(): string {
  const hash = createHash('sha256')
  for (const file of globSync(SOURCES, { cwd: ROOT }).sort()) {
    const { size, mtimeMs } = statSync(join(ROOT, file))
    hash.update(`${file} ${size} ${mtimeMs}\n`)
  }
  return hash.digest('hex').slice(0, 12)
}

/** `boot` of the built package. */
export async function builtBoot(): Promise<typeof boot> {
  const index = (await import(pathToFileURL(join(dist(), 'machine', 'index.js')).href)) as { boot: typeof boot }
  return index.boot
}
