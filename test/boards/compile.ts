/** Compiles the firmware for this machine. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const FIRMWARE = fileURLToPath(new URL('../../boards/arduino-uno/firmware', import.meta.url))
const CORE = ['adc', 'bridge', 'fields', 'gpio', 'i2c', 'inbox', 'outbox'].map((name) => `core/${name}.c`)
const WARNINGS = ['-std=c99', '-Wall', '-Wextra', '-Werror', '-O1', '-g']
export const SANITIZERS = ['-fsanitize=address,undefined', '-fno-sanitize-recover=all']

/** Why nothing can be compiled here, or null. In CI a compiler is there, or what needs it fails. */
export function lacksCompiler(): string | null {
  try {
    execFileSync('cc', ['--version'], { stdio: 'ignore' })
    return null
  } catch {
    return process.env['CI'] ? null : 'no C compiler (cc) here'
  }
}

/** Compiles the core and simulated devices with `main`, into a folder of its own; `remove` takes that away again. */
export function compile(main: string, options: readonly string[] = []): { program: string; remove(): void } {
  const folder = mkdtempSync(join(tmpdir(), 'dirql-hosted-'))
  const program = join(folder, 'program')
  const sources = [...CORE, 'hosted/devices.c', main]
  execFileSync('cc', [...WARNINGS, ...options, ...sources, '-o', program], { cwd: FIRMWARE, stdio: 'pipe' })
  return { program, remove: () => rmSync(folder, { recursive: true }) }
}
