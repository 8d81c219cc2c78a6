/** What C does for the same purpose: one program, built with cc when it is first needed. */
import { execFile, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { quantile, type Take } from './benchmark.ts'
import { CACHE } from './cache.ts'

const SOURCE = join(import.meta.dirname, 'c', 'baselines.c')

const run = promisify(execFile)
let program: string | null | undefined

/** `{ [name]: take }` for a command of the program; nothing where there is no C compiler, which is said once. */
export function baseline(name: string, command: string, rounds: number, share = 0.5): Record<string, Take> {
  if (program === undefined) program = build()
  if (program === null) return {}
  const path = program
  const take = async (): Promise<number> => {
    const { stdout } = await run(path, [command, String(rounds)], { maxBuffer: 1 << 26 })
    return quantile(stdout.trim().split('\n').map(Number), share)
  }
  return { [name]: take }
}

/** The program's path; null where it cannot be built. */
function build(): string | null {
  const hash = createHash('sha256').update(readFileSync(SOURCE)).digest('hex').slice(0, 12)
  const path = join(CACHE, `baselines-${hash}`)
  if (existsSync(path)) return path
  mkdirSync(CACHE, { recursive: true })
  const unfinished = `${path}.${process.pid}`
  const { error, status, stderr } = spawnSync('cc', ['-O2', '-pthread', '-o', unfinished, SOURCE], { encoding: 'utf8' })
  if (status === 0) {
    renameSync(unfinished, path)
    return path
  }
  const reason = error === undefined ? stderr.trim() : error.message
  console.error(`bench: figures of C are left out, because they cannot be built here: ${reason}`)
  return null
}
