// What a processor's thread loads, as one file: `worker/` of the published package. Some 150 modules are most of the time
// that such a thread takes to start, and V8 folds the names of one module into its code, not those that cross modules.

import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { rolldown } from 'rolldown'

/** Where drivers enter: these doors lead into the same file, so that nothing of the kernel is there twice. */
const DOORS = ['ddi', 'classes']

/** Bundles the JavaScript in `dist`. */
export async function bundleProcessor(dist: string): Promise<void> {
  const doors = DOORS.flatMap((room) => modulesIn(dist, room))
  const input = Object.fromEntries(['machine/processor', ...doors].map((name) => [name, join(dist, `${name}.js`)]))
  const bundle = await rolldown({
    input,
    platform: 'node',
    // Routines are numbered in the order of the modules, and drivers may ask for anything: nothing is left out.
    treeshake: false,
    preserveEntrySignatures: 'strict',
  })
  await bundle.write({
    dir: join(dist, 'worker'),
    format: 'esm',
    entryFileNames: '[name].js',
    chunkFileNames: '[name].js',
    codeSplitting: { groups: [{ name: 'kernel', test: () => true }] },
  })
  await bundle.close()
}

const modulesIn = (dist: string, room: string): string[] =>
  readdirSync(join(dist, room))
    .filter((file) => file.endsWith('.js'))
    .map((file) => `${room}/${file.slice(0, -'.js'.length)}`)
