/** Boards in processes of their own, at the far ends of pseudo terminals: see far/main.ts. */
import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { Skip } from './benchmark.ts'
import { compiledEnv } from './compiled.ts'
import type { Circled } from './far/circle.ts'

const MAIN = fileURLToPath(new URL('./far/main.ts', import.meta.url))
/** Interrupt lines of its board. */
export const LINES = 8

export type BoardKind = 'text' | 'bridge' | 'json'
export interface CircleRequest {
  lines: number
  rounds: number
}

export interface Far {
  /** What a host opens. */
  readonly path: string
  /** Has the board's first lines interrupt until `rounds` interrupts were answered. */
  circle(request: CircleRequest): Promise<Circled>
  end(): void
}

export async function startFar(kind: BoardKind): Promise<Far> {
  if (process.platform === 'win32') throw new Skip('Windows has no pseudo terminals')
  const child = fork(MAIN, [kind], { serialization: 'advanced', env: compiledEnv })
  const path = await answer<string>(child)
  return {
    path,
    circle(request) {
      child.send(request)
      return answer<Circled>(child)
    },
    end: () => child.disconnect(),
  }
}

/** The next message of `child`; an error that it tells, or its end, is thrown. */
export function answer<T>(child: ChildProcess): Promise<T> {
  return new Promise((resolve, reject) => {
    const exited = (code: number | null): void =>
      reject(new Error(`a process of the benchmark ended with code ${code}`))
    child.once('exit', exited)
    child.once('message', (told) => {
      child.off('exit', exited)
      if (told instanceof Error) reject(told)
      else resolve(told as T)
    })
  })
}
