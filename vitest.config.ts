import { defineConfig } from 'vitest/config'
import { CountReporter } from './test/reporter.ts'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // modules load as Node loads them: kernel and driver images are never doubled, on main or in workers
    experimental: { viteModuleRunner: false },
    // a crash takes one process with it; 40 small files take 1.2 s, and 13 s with a process for each
    pool: 'forks',
    isolate: false,
    testTimeout: 30_000,
    hookTimeout: 30_000,
    reporters: ['default', new CountReporter()],
  },
})
