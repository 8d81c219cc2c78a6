import { Worker } from 'node:worker_threads'
import { expect, test } from 'vitest'
import { attachProcessor, createKernel, type KernelOptions, startProcessor } from '../../../kernel/ke/create.ts'
import { cpu, Root } from '../../../kernel/ke/pcr.ts'
import { read32 } from '../../../kernel/mm/access.ts'
import { viewMemory } from '../../../kernel/mm/memory.ts'
import { poolUsage } from '../../../kernel/mm/pool.ts'
import { openHandles } from '../../../kernel/ob/handletable.ts'
import { createBaseNamedObjects, initializeObjectManager } from '../../../kernel/ob/init.ts'
import { createSystemProcess } from '../../../kernel/ps/process.ts'
import { plugPorts, unplugPorts } from '../../../kernel/ports/ports.ts'
import { quietPorts } from './quiet-ports.ts'

const ROUNDS = 30_000
const options: KernelOptions = {
  processors: 3,
  checked: true,
  isVirtual: false,
  localRoutines: false,
  bootSystemTime: 0n,
}

/** Result of the worker that is processor `number`. */
function result(buffer: SharedArrayBuffer, number: number): Promise<{ made: number; wrong: string[] }> {
  const worker = new Worker(new URL('./parallel-worker.ts', import.meta.url), {
    workerData: { buffer, number, options, rounds: ROUNDS },
  })
  return new Promise((resolve, reject) => {
    worker.once('message', resolve)
    worker.once('error', reject)
  })
}

test('processors that create, open and close the same names agree on one object, and leave nothing behind', async () => {
  const buffer = new SharedArrayBuffer(32 << 20)
  plugPorts(quietPorts())
  try {
    attachProcessor(viewMemory(buffer), 0, options)
    createKernel(options)
    startProcessor()
    initializeObjectManager()
    createSystemProcess()
    createBaseNamedObjects()
    const texts = (): unknown => poolUsage().filter(({ tag }) => tag === 'ObNm')[0]?.bytes
    const before = texts()
    const results = await Promise.all([result(buffer, 1), result(buffer, 2)])
    expect(results.flatMap(({ wrong }) => wrong)).toEqual([])
    expect(results.reduce((sum, { made }) => sum + made, 0)).toBeGreaterThan(0)
    const events = poolUsage().filter(({ tag }) => tag === 'Even')[0]
    expect(events?.allocations).toBe(events?.frees)
    expect(texts()).toBe(before)
    expect(openHandles(read32(Root.ObKernelHandles))).toBe(0)
  } finally {
    cpu.isProcessor = false
    cpu.multiprocessor = 0
    unplugPorts()
  }
})
