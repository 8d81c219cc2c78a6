import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'
import { CountReporter } from './test/reporter.ts'
import { LongestFirst } from './test/sequencer.ts'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // modules load as Node loads them: kernel and driver images are never doubled, on main or in workers
    experimental: { viteModuleRunner: false },
    // a crash takes one process with it; 40 small files take 1.2 s, and 13 s with a process for each
    pool: 'forks',
    isolate: false,
    // one of them does nothing but wait for the small machine (test/lab), for most of the time
    maxWorkers: Math.max(2, availableParallelism() - 1),
    sequence: { sequencer: LongestFirst },
    testTimeout: 30_000,
    hookTimeout: 30_000,
    reporters: ['default', new CountReporter()],
  },
})
