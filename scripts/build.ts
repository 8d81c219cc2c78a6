// npm run build: what is published. dist/ (or the folder that is given) mirrors the tree, as JavaScript with types and
// a package.json of its own.

import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { bundleProcessor } from './bundle.ts'

interface Manifest {
  name: string
  version: string
  description: string
  license: string
  type: string
  engines: Record<string, string>
  exports: Record<string, string>
  dependencies?: Record<string, string>
  devDependencies: Record<string, string>
  optionalDependencies?: Record<string, string>
}

const root = fileURLToPath(new URL('..', import.meta.url))
const dist = resolve(process.argv[2] ?? join(root, 'dist'))
const readJson = (path: string): unknown => JSON.parse(readFileSync(join(root, path), 'utf8'))
const { include } = readJson('tsconfig.build.json') as { include: string[] }
const own = readJson('package.json') as Manifest

rmSync(dist, { recursive: true, force: true })
const tsc = spawnSync(
  process.execPath,
  [join(root, 'node_modules/typescript/bin/tsc'), '-p', 'tsconfig.build.json', '--outDir', dist],
  { cwd: root, stdio: 'inherit' },
)
if (tsc.status !== 0) process.exit(1)
await bundleProcessor(dist)

// boards, register maps and firmware images lie beside the code that reads them
for (const folder of [...include, 'boards']) {
  if (!existsSync(join(root, folder))) continue
  cpSync(join(root, folder), join(dist, folder), {
    recursive: true,
    filter: (source) => !source.endsWith('.ts') && !source.endsWith('node_modules'),
  })
}

function published(path: string): string | { types: string; default: string } {
  if (!path.endsWith('.ts')) return path
  const stem = path.slice(0, -'.ts'.length)
  return { types: `${stem}.d.ts`, default: `${stem}.js` }
}

/** Who imports dirql/vitest has vitest; nobody else needs it. */
function peers({ devDependencies }: Manifest) {
  const major = devDependencies['vitest']?.split('.')[0] ?? '*'
  return { peerDependencies: { vitest: `>=${major}` }, peerDependenciesMeta: { vitest: { optional: true } } }
}

const { name, version, description, license, type, engines, dependencies, optionalDependencies } = own
const manifest = {
  name,
  version,
  description,
  license,
  type,
  engines,
  exports: Object.fromEntries(Object.entries(own.exports).map(([door, path]) => [door, published(path)])),
  ...(existsSync(join(dist, 'cli/dirql.js')) && { bin: { dirql: './cli/dirql.js' } }),
  ...(dependencies && { dependencies }),
  ...(optionalDependencies && { optionalDependencies }),
  ...peers(own),
}
writeFileSync(join(dist, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`)
for (const file of ['README.md', 'LICENSE']) {
  if (existsSync(join(root, file))) cpSync(join(root, file), join(dist, file))
}

// a door that leads nowhere is found by the first user otherwise
for (const [door, target] of Object.entries(manifest.exports)) {
  for (const path of typeof target === 'string' ? [target] : Object.values(target)) {
    if (existsSync(join(dist, path))) continue
    console.error(`build: ${door} is to be ${path}, which was not built`)
    process.exitCode = 1
  }
}
