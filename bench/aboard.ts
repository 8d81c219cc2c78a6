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
  id: number
  driver: string
  routine: string
  argument: unknown
  processor: number
}

export interface Done {
  id: number
  told: unknown
}

export interface Aboard {
  run(driver: URL, routine: string, argument?: unknown, processor?: number): Promise<unknown>
  end(): Promise<void>
}

/** The two processors of a machine that has two have a core each. */
export async function aboard(options: Options = {}): Promise<Aboard> {
  const child: ChildProcess = fork(PROCESS, [], { serialization: 'advanced', env: compiledEnv, execArgv: [V8_OPTION] })
  child.send(options)
  await answer(child)
  const waiting = new Map<number, (told: unknown) => void>()
  child.on('message', ({ id, told }: Done) => waiting.get(id)?.(told))
  child.on('exit', (code) => {
    for (const settle of waiting.values()) settle(new Error(`the machine's process ended with code ${code}`))
  })
  let next = 0
  return {
    async run(driver, routine, argument = null, processor = 0) {
      const id = next++
      child.send({ id, driver: driver.href, routine, argument, processor } satisfies Job)
      const told = await new Promise((settle) => waiting.set(id, settle))
      waiting.delete(id)
      if (told instanceof Error) throw told
      return told
    },
    async end() {
      child.disconnect()
      await once(child, 'exit')
    },
  }
}

/** Takes the figure of a routine that counts its rounds. */
export function figureOf(machine: Aboard, driver: URL, routine: string, rounds: number): Take {
  return async () => {
    const { ns, ...counts } = (await machine.run(driver, routine, rounds)) as Figure
    for (const [what, count] of Object.entries(counts)) expectEqual(count, rounds, `the ${what}`)
    return ns
  }
}
