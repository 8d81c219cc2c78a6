// npm run check: types, lint, format and the arrows, and one summary.

import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

interface Check {
  name: string
  program: string
  args: string[]
}

const checks: Check[] = [
  { name: 'types', program: 'typescript/bin/tsc', args: ['--noEmit', '-p', 'tsconfig.json', '--pretty', 'false'] },
  { name: 'lint', program: 'oxlint/bin/oxlint', args: ['--type-aware', '--deny-warnings', '--format=unix'] },
  { name: 'format', program: '@biomejs/biome/bin/biome', args: ['format', '--colors=off', '--max-diagnostics=50'] },
  { name: 'firmware', program: '../scripts/firmware.ts', args: [] },
  { name: 'tidy', program: 'vitest/vitest.mjs', args: ['run', '--no-color', 'test/tidy.test.ts'] },
]

const root = fileURLToPath(new URL('..', import.meta.url))

interface Outcome {
  name: string
  passed: boolean
  seconds: number
  output: string
}

function run({ name, program, args }: Check): Promise<Outcome> {
  const start = performance.now()
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [`${root}node_modules/${program}`, ...args], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let output = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (output += text))
    const end = (passed: boolean) =>
      resolve({ name, passed, seconds: (performance.now() - start) / 1000, output: output.trim() })
    child.on('error', (error) => {
      output += String(error)
      end(false)
    })
    child.on('close', (code) => end(code === 0))
  })
}

const outcomes = await Promise.all(checks.map(run))
for (const { name, passed, output } of outcomes) {
  if (!passed) console.log(`--- ${name}\n${output}\n`)
}
for (const { name, passed, seconds } of outcomes) {
  console.log(`${name.padEnd(8)} ${passed ? 'ok    ' : 'FAILED'} ${seconds.toFixed(1)} s`)
}
process.exitCode = outcomes.every(({ passed }) => passed) ? 0 : 1
