import { Worker } from 'node:worker_threads'
import { expect, test } from 'vitest'
import { mem } from '../../../kernel/mm/memory.ts'
import { free, poolBytesFree, poolBytesInUse, poolUsage } from '../../../kernel/mm/pool.ts'
import { freshPool } from './pool-region.ts'

/** Runs `threads` workers on one pool. @returns how many allocations found no memory. */
async function hammer(buffer: SharedArrayBuffer, threads: number, rounds: number): Promise<number> {
  const meeting = new SharedArrayBuffer(8)
  const ends = Array.from({ length: threads }, (_, number) => {
    const workerData = { buffer, number, threads, rounds, meeting }
    const worker = new Worker(new URL('./pool-worker.ts', import.meta.url), { workerData })
    return new Promise<number>((resolve, reject) => {
      worker.once('message', ({ failed }: { failed: number }) => resolve(failed))
      worker.once('error', reject)
    })
  })
  const failures = await Promise.all(ends)
  const left = new Int32Array(meeting)[1] as number
  if (left !== 0) free(left)
  return failures.reduce((sum, count) => sum + count, 0)
}

test.for([2, 3])('%i processors allocate and free side by side, and no byte is lost or shared', async (threads) => {
  const buffer = freshPool(32 << 20, threads)
  const atFirst = poolBytesFree()
  const rounds = 100_000
  expect(await hammer(buffer, threads, rounds)).toBe(0)
  expect(poolBytesInUse()).toBe(0)
  expect(poolBytesFree()).toEqual(atFirst)
  expect(poolUsage().reduce((sum, row) => sum + row.allocations, 0)).toBe(threads * rounds)
})

test('two processors share a pool that is too small, and all of it comes back', async () => {
  const buffer = freshPool(320 << 10, 2)
  const atFirst = poolBytesFree()
  expect(await hammer(buffer, 2, 50_000)).toBeGreaterThan(0)
  expect(poolBytesInUse()).toBe(0)
  expect(poolBytesFree()).toEqual(atFirst)
  expect(mem.buffer).toBe(buffer)
})
