// Installs what package-lock.json names and node_modules lacks, before an npm script runs.
// Plain JavaScript: at this point the machine's own Node may be an old one.

import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const pinnedNode = join(root, 'node_modules', '.bin', process.platform === 'win32' ? 'node.cmd' : 'node')

const state = installed()
if (state !== 'complete') install(state)
if (!existsSync(pinnedNode) && Number.parseInt(process.versions.node, 10) < 24) {
  fail(`no pinned Node.js for ${process.platform} ${process.arch}: install Node.js 24 or newer`)
}

/** What npm last installed is in a lock file of its own, written when it was done. */
function installed() {
  let present
  try {
    present = packagesOf(join('node_modules', '.package-lock.json'))
  } catch {
    return 'missing'
  }
  for (const [path, wanted] of Object.entries(packagesOf('package-lock.json'))) {
    if (!path.includes('node_modules/') || wanted.link) continue
    // npm leaves out the optional packages of other platforms; node_modules may come from a machine of another kind
    const needed =
      !wanted.optional || (wanted.bin?.node && wanted.os === process.platform && wanted.cpu === process.arch)
    if (path in present ? present[path].integrity !== wanted.integrity : needed) return 'stale'
  }
  return 'complete'
}

function packagesOf(lockFile) {
  return JSON.parse(readFileSync(join(root, lockFile), 'utf8')).packages
}

function install(why) {
  // Windows cannot delete the node.exe that runs this line
  const how = why === 'stale' && process.platform === 'win32' ? ['install', '--no-save'] : ['ci']
  const options = ['--include=dev', '--include=optional', '--loglevel=error', '--no-progress']
  console.error(`dirql: node_modules is ${why}, running npm ${how.join(' ')}`)
  // the Node that runs npm: ours is about to be deleted
  const node = process.env.npm_node_execpath ?? process.execPath
  const npm = process.env.npm_execpath
  const where = { cwd: root, stdio: ['ignore', 2, 2], shell: !npm && process.platform === 'win32' }
  const child = npm ? spawnSync(node, [npm, ...how, ...options], where) : spawnSync('npm', [...how, ...options], where)
  if (child.status !== 0) fail(`npm ${how[0]} failed`)
}

function fail(message) {
  console.error(`dirql: ${message}`)
  process.exit(1)
}
