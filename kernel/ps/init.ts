/** Processes and threads begin: the System process, and the thread that deletes objects. */
import { routineId } from '../ke/image.ts'
import { readyThread } from '../ke/start.ts'
import { reaperThread } from '../ob/delete.ts'
import { createSystemProcess } from './process.ts'
import { createThread } from './thread.ts'

/** Once a machine, on processor 0 after `initializeObjectManager` and `startProcessor`. */
export function initializeProcesses(): void {
  createSystemProcess()
  readyThread(createThread({ routine: routineId(reaperThread), context: null }))
}
