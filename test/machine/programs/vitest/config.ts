import { defineConfig } from 'vitest/config'

export default defineConfig({
  root: import.meta.dirname,
  test: { include: ['fixture.ts'], experimental: { viteModuleRunner: false }, pool: 'forks' },
})
