/** Packages that dirql is compared with: those of bench/package.json, installed when they are first needed. */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'

const here = join(import.meta.dirname, '..')

/** Imports a package of bench/package.json. Nothing of the product knows its types, so the caller says what it uses. */
export async function peer<T>(name: string): Promise<T> {
  if (!existsSync(join(here, 'node_modules', name))) install()
  return (await import(name)) as T
}

function install(): void {
  console.error('bench: installing what to compare with (npm ci in bench/)')
  const args = ['ci', '--no-audit', '--no-fund', '--loglevel=error', '--workspaces=false']
  const npm = process.env['npm_execpath']
  const where = { cwd: here, stdio: ['ignore', 2, 2] as ['ignore', 2, 2] }
  const child = npm === undefined ? spawnSync('npm', args, where) : spawnSync(process.execPath, [npm, ...args], where)
  if (child.status !== 0) throw new Error('npm ci in bench/ failed')
}
