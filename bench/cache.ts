/** What the benchmarks build lies here, and not below bench/node_modules: who installs the peers there deletes all of it. */
import { join } from 'node:path'

export const CACHE = join(import.meta.dirname, '..', 'node_modules', '.cache', 'dirql-bench')
