import { expect, test } from 'vitest'
import { routineId } from '../../../kernel/ke/image.ts'
import { readyThread } from '../../../kernel/ke/start.ts'
import { waitForObject } from '../../../kernel/ke/wait.ts'
import { createEvent } from '../../../kernel/ob/event.ts'
import { currentProcess } from '../../../kernel/ob/handle.ts'
import { dereferenceObject, referenceObject } from '../../../kernel/ob/reference.ts'
import { waitForHandle } from '../../../kernel/ob/wait.ts'
import { createProcess, exitProcess } from '../../../kernel/ps/process.ts'
import { createThread, PsIsSystemThread, PsTerminateSystemThread } from '../../../kernel/ps/thread.ts'
import { KTHREAD } from '../../../kernel/ke/layouts.ts'
import * as S from '../../../kernel/rtl/status.ts'
import { onMachine } from '../ob/machine.ts'

test('a thread of a user process has the handles of that process, which end with it', async () => {
  const seen = await onMachine(async () => {
    const process = createProcess('program.exe')
    const results: unknown[] = []
    const body = async () => {
      results.push(currentProcess() === process, PsIsSystemThread(new KTHREAD(thread)), PsTerminateSystemThread(0))
      const made = createEvent({ attributes: null, access: 0x1f0003, mode: 1, type: 0, state: true })
      results.push(made.status, await waitForHandle(made.handle, 1, false, 0))
    }
    const thread = createThread({ routine: routineId(body), context: null, process })
    referenceObject(thread)
    readyThread(thread)
    await waitForObject(thread)
    dereferenceObject(thread)
    await exitProcess(process, S.STATUS_CANCELLED)
    results.push(await waitForObject(process))
    dereferenceObject(process)
    return results
  })
  expect(seen).toEqual([true, false, S.STATUS_INVALID_PARAMETER, 0, 0, 0])
})
