/** A processor that creates, opens, references and closes events under a few names, as fast as it can. */
import { parentPort, workerData } from 'node:worker_threads'
import { KernelMode } from '../../../kernel/ke/wait.ts'
import { attachProcessor, type KernelOptions, startProcessor } from '../../../kernel/ke/create.ts'
import { viewMemory } from '../../../kernel/mm/memory.ts'
import { createEvent, eventObjectType } from '../../../kernel/ob/event.ts'
import { closeHandle, referenceByHandle } from '../../../kernel/ob/handle.ts'
import { openWithHandle } from '../../../kernel/ob/services.ts'
import { dereferenceObject } from '../../../kernel/ob/reference.ts'
import { plugPorts } from '../../../kernel/ports/ports.ts'
import { quietPorts } from './quiet-ports.ts'

const { buffer, number, options, rounds } = workerData as {
  buffer: SharedArrayBuffer
  number: number
  options: KernelOptions
  rounds: number
}

const KERNEL_OPENIF = 0x280

/** What goes wrong, by status; and how often a name was new here. */
function work(): { made: number; wrong: string[] } {
  let made = 0
  const wrong = new Set<string>()
  for (let round = 0; round < rounds; round++) {
    const ObjectName = `\\BaseNamedObjects\\shared-${round % 3}`
    const { status, handle } = createEvent({
      attributes: { ObjectName, Attributes: KERNEL_OPENIF },
      access: 0x1f0003,
      mode: KernelMode,
      type: 0,
      state: false,
    })
    if (status === 0) made += 1
    else if (status !== 0x40000000) wrong.add(`create ${status}`)
    const target = referenceByHandle(handle, 0, eventObjectType, KernelMode)
    if (target.status !== 0) wrong.add(`reference ${target.status}`)
    const second = openWithHandle({ ObjectName, Attributes: 0x200 }, eventObjectType, 1, KernelMode)
    if (second.status !== 0) wrong.add(`open ${second.status}`)
    const again = referenceByHandle(second.handle, 0, eventObjectType, KernelMode)
    if (again.object !== target.object) wrong.add('two objects under one name')
    dereferenceObject(again.object)
    if (closeHandle(handle, KernelMode) !== 0) wrong.add('close')
    dereferenceObject(target.object)
    if (closeHandle(second.handle, KernelMode) !== 0) wrong.add('close of the second')
  }
  return { made, wrong: [...wrong] }
}

plugPorts(quietPorts())
attachProcessor(viewMemory(buffer), number, options)
startProcessor()
parentPort?.postMessage(work())
