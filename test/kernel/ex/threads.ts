/** Several threads in one test: they are started, run until they wait, and are joined. */
import { boot, type Machine } from '../../../machine/index.ts'
import { initializeEvent, NotificationEvent, setEvent } from '../../../kernel/ke/event.ts'
import { routineId } from '../../../kernel/ke/image.ts'
import { KEVENT, KTHREAD } from '../../../kernel/ke/layouts.ts'
import { initializeThread, readyThread } from '../../../kernel/ke/start.ts'
import { KeDelayExecutionThread, KernelMode, waitForObject } from '../../../kernel/ke/wait.ts'
import { allocate, allocateStruct, free } from '../../../kernel/mm/pool.ts'

/** One processor; virtual time, so that `settle` is exact. */
export const bootOne = (build: 'checked' | 'free' = 'checked'): Promise<Machine> =>
  boot({ localRoutines: true, clock: 'virtual', build })

/** Lets all other threads run until each of them waits: virtual time moves only then. */
export async function settle(): Promise<void> {
  await KeDelayExecutionThread(KernelMode, false, -10_000)
}

/** Starts a thread that runs `body`, and lets it run until it waits; gives back what waits for its end. */
export async function spawn(body: () => unknown): Promise<() => Promise<void>> {
  const done = allocate(KEVENT.size, 'Done')
  initializeEvent(done, NotificationEvent, false)
  const run = async (): Promise<void> => {
    await body()
    setEvent(done)
  }
  const thread = allocate(KTHREAD.size, 'Thre')
  initializeThread(thread, { routine: routineId(run), context: null, processor: 0, process: 0 })
  readyThread(thread)
  await settle()
  return async () => {
    await waitForObject(done)
    free(done)
  }
}

/** A zeroed struct in nonpaged pool. */
export function make<T>(type: { new (address: number): T; readonly size: number }): T {
  const made = allocateStruct(type, 'Test')
  if (made === null) throw new Error('no pool')
  return made
}
