// What a processor's thread loads, as one file: `worker/` of the published package. Some 150 modules are most of the time
// that such a thread takes to start, and V8 folds the names of one module into its code, not those that cross modules.
// What only drivers import lies beside it, and is loaded with the first driver.

import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { rolldown } from 'rolldown'

/** Where drivers enter: these doors lead into the same file, so that nothing of the kernel is there twice. */
const DOORS = ['ddi', 'classes']
const PROCESSOR = 'machine/processor'
const LOADED = {
  platform: 'node',
  // Routines are numbered in the order of the modules, and drivers may ask for anything: nothing is left out.
  treeshake: false,
} as const

/** Bundles the JavaScript in `dist`. */
export async function bundleProcessor(dist: string): Promise<void> {
  const doors = DOORS.flatMap((room) => modulesIn(dist, room))
  const input = Object.fromEntries([PROCESSOR, ...doors].map((name) => [name, join(dist, `${name}.js`)]))
  const kernel = await modulesOf(join(dist, `${PROCESSOR}.js`))
  const bundle = await rolldown({ ...LOADED, input, preserveEntrySignatures: 'strict' })
  const { output } = await bundle.write({
    dir: join(dist, 'worker'),
    format: 'esm',
    comments: false,
    entryFileNames: '[name].js',
    chunkFileNames: '[name].js',
    codeSplitting: { groups: [{ name: 'kernel', test: (module) => kernel.has(module) }] },
  })
  await bundle.close()
  for (const file of output)
    if (file.type === 'chunk') writeFileSync(join(dist, 'worker', file.fileName), ascii(file.code))
}

/** A text of one byte a character is read, and held against the compile cache's, at half the cost. */
const ascii = (code: string): string =>
  code.replace(/[^\0-\x7f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)

/** All modules that `entry` loads. */
async function modulesOf(entry: string): Promise<Set<string>> {
  const bundle = await rolldown({ ...LOADED, input: entry })
  const { output } = await bundle.generate({ codeSplitting: false })
  await bundle.close()
  return new Set(output[0].moduleIds)
}

const modulesIn = (dist: string, room: string): string[] =>
  readdirSync(join(dist, room))
    .filter((file) => file.endsWith('.js'))
    .map((file) => `${room}/${file.slice(0, -'.js'.length)}`)
