/** Allocates, fills, checks and frees at random, as fast as it can, while other threads do the same. */
import { parentPort, workerData } from 'node:worker_threads'
import { mem, useMemory, viewMemory } from '../../../kernel/mm/memory.ts'
import { allocate, attachPool, free, PAGED } from '../../../kernel/mm/pool.ts'
import { plugFaults, POOL_START } from './pool-region.ts'

const { buffer, number, threads, rounds, meeting } = workerData as {
  buffer: SharedArrayBuffer
  number: number
  threads: number
  rounds: number
  meeting: SharedArrayBuffer
}
useMemory(viewMemory(buffer))
attachPool(POOL_START)
plugFaults()

const door = new Int32Array(meeting)
Atomics.add(door, 0, 1)
while (Atomics.load(door, 0) < threads) Atomics.pause()

interface Block {
  address: number
  size: number
  byte: number
}

// A slot holds a block of this thread, or one that the other thread put there: frees cross over, too.
const slots = Array.from({ length: 200 }, (): Block | null => null)
let state = number + 1
const random = (limit: number): number => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0
  return Math.floor((state / 2 ** 32) * limit)
}

let failed = 0
for (let round = 0; round < rounds; round++) {
  const slot = random(slots.length)
  release(slot)
  const size = random(20) === 0 ? random(20000) : random(300)
  const address = allocate(size, number === 0 ? 'Left' : 'Rite', random(2) * PAGED)
  if (address === 0) {
    failed += 1
    continue
  }
  for (let at = address; at < address + size; at++) {
    if (mem.u8[at] !== 0) throw new Error(`byte ${at} of a new block of ${size} is not zero`)
  }
  const byte = 1 + random(255)
  mem.u8.fill(byte, address, address + size)
  slots[slot] = { address, size, byte }
  if (round % 16 === 0) exchange(slot)
}
for (let slot = 0; slot < slots.length; slot++) release(slot)
parentPort?.postMessage({ failed })

function release(slot: number): void {
  const block = slots[slot]
  if (block === null || block === undefined) return
  check(block)
  free(block.address)
  slots[slot] = null
}

function check({ address, size, byte }: Block): void {
  for (let at = address; at < address + size; at++) {
    if (mem.u8[at] !== byte) throw new Error(`byte ${at} of a block of ${size} at ${address} was written over`)
  }
}

/** Swaps a small block for the one that lies at the door, which the other thread may have left. */
function exchange(slot: number): void {
  const block = slots[slot]
  if (block === null || block === undefined || block.size < 8) return
  mem.i32[block.address >> 2] = block.size
  mem.i32[(block.address >> 2) + 1] = block.byte
  const other = Atomics.exchange(door, 1, block.address)
  slots[slot] = null
  if (other === 0) return
  const size = mem.i32[other >> 2] as number
  const byte = mem.i32[(other >> 2) + 1] as number
  mem.u8.fill(byte, other, other + 8)
  slots[slot] = { address: other, size, byte }
}
