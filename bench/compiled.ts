/** The environment of the benchmarks' own threads and processes: all load the same files, which are compiled once. */
import { join } from 'node:path'
import { CACHE } from './cache.ts'

export const compiledEnv: NodeJS.ProcessEnv = {
  ...process.env,
  NODE_COMPILE_CACHE: join(CACHE, 'compiled'),
}
