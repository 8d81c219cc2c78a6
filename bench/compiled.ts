/** The environment of the benchmarks' own threads and processes: all load the same files, which are compiled once. */
import { join } from 'node:path'

export const compiledEnv: NodeJS.ProcessEnv = {
  ...process.env,
  NODE_COMPILE_CACHE: join(import.meta.dirname, 'node_modules', '.cache', 'compiled'),
}
