/** Runs the dirql command as a user does, in a process of its own. */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const CLI = fileURLToPath(new URL('../../cli/dirql.ts', import.meta.url))

export interface Outcome {
  code: number | null
  stdout: string
  stderr: string
}

export interface Running {
  /** Resolves when standard output has `text`. */
  says(text: string): Promise<void>
  interrupt(): void
  ended: Promise<Outcome>
}

export function start(args: readonly string[], options: { cwd?: string; env?: Record<string, string> } = {}): Running {
  const child = spawn(process.execPath, [CLI, ...args], {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const outcome: Outcome = { code: null, stdout: '', stderr: '' }
  const waiting: { text: string; resolve: () => void }[] = []
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    outcome.stdout += text
    for (const one of waiting) if (outcome.stdout.includes(one.text)) one.resolve()
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => (outcome.stderr += text))
  const ended = new Promise<Outcome>((resolve) => {
    child.once('close', (code) => resolve({ ...outcome, code }))
  })
  return {
    says: (text) =>
      Promise.race([
        new Promise<void>((resolve) => {
          if (outcome.stdout.includes(text)) resolve()
          else waiting.push({ text, resolve })
        }),
        ended.then(({ code, stderr }) => {
          throw new Error(`it ended with ${code} and never said '${text}': ${stderr}`)
        }),
      ]),
    interrupt: () => child.kill('SIGINT'),
    ended,
  }
}

export const run = (...args: string[]): Promise<Outcome> => start(args).ended
