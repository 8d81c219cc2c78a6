/** A booted machine of one processor for tests of the kernel core. */
import { type BootOptions, boot } from '../../../machine/index.ts'
import type { BugCheckError } from '../../../kernel/ke/bugcheck.ts'

/** Boots, runs `body` on a system thread, and shuts down. */
export async function onMachine<T>(body: () => T | Promise<T>, options: BootOptions = {}): Promise<T> {
  await using machine = await boot({ localRoutines: true, build: 'checked', ...options })
  return await machine.run(body)
}

/** The bug check that `body` runs into. */
export async function bugCheckOf(body: () => unknown, options: BootOptions = {}): Promise<BugCheckError> {
  try {
    await onMachine(body, options)
  } catch (error) {
    return error as BugCheckError
  }
  throw new Error('no bug check')
}
