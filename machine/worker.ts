/**
 * The first file of a worker thread: has what the processor needs compiled once, and not once a worker and a boot.
 *
 * The cache must be on before the modules are loaded, so this file imports nothing of ours. It must be written while
 * the worker lives: one that is terminated writes nothing.
 */
import { enableCompileCache, flushCompileCache } from 'node:module'

enableCompileCache()
await import('./processor.ts')
flushCompileCache()
