/**
 * A machine in a process of its own, as the command has it: with its option of V8 (decision 0046), and
 * with no machine before it on the same thread (decision 0047).
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { V8_OPTION } from '../cli/v8.ts'
import type { BootOptions } from '../machine/index.ts'
import { expectEqual, type Take } from './benchmark.ts'
import { compiledEnv } from './compiled.ts'
import type { Figure } from './drivers/locks.ts'
import { answer } from './far.ts'

const PROCESS = fileURLToPath(new URL('./aboard-process.ts', import.meta.url))

export type Options = Pick<BootOptions, 'processors' | 'drivers' | 'trace'>

/** What the process is told: a routine of a driver that its machine is to run. */
export interface Job {
  driver: string
  routine: string
  argument: unknown
}

/** As a machine has it. */
export interface Runs {
  run(driver: URL, routine: string, argument: unknown): Promise<unknown>
}

export interface Aboard extends Runs {
  end(): Promise<void>
}

export async function aboard(options: Options = {}): Promise<Aboard> {
  const child: ChildProcess = fork(PROCESS, [], { serialization: 'advanced', env: compiledEnv, execArgv: [V8_OPTION] })
  child.send(options)
  await answer(child)
  return {
    run(driver, routine, argument) {
      child.send({ driver: driver.href, routine, argument } satisfies Job)
      return answer(child)
    },
    async end() {
      child.disconnect()
      await once(child, 'exit')
    },
  }
}

/** Takes the figure of a routine that counts its rounds. */
export function figureOf(machine: Runs, driver: URL, routine: string, rounds: number): Take {
  return async () => {
    const { ns, ...counts } = (await machine.run(driver, routine, rounds)) as Figure
    for (const [what, count] of Object.entries(counts)) expectEqual(count, rounds, `the ${what}`)
    return ns
  }
}
