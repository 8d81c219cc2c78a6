/** Pops and pushes on one list as fast as it can, with another thread. Half of the time it empties it. */
import { workerData } from 'node:worker_threads'
import { mem, useMemory, viewMemory } from '../../../kernel/mm/memory.ts'
import {
  InterlockedFlushSList,
  InterlockedPopEntrySList,
  InterlockedPushEntrySList,
  SLIST_ENTRY,
  SLIST_HEADER,
} from '../../../kernel/rtl/slist.ts'

const { buffer, list, ready, rounds } = workerData as {
  buffer: SharedArrayBuffer
  list: number
  ready: number
  rounds: number
}
useMemory(viewMemory(buffer))
const head = new SLIST_HEADER(list)

Atomics.add(mem.i32, ready >> 2, 1)
while (Atomics.load(mem.i32, ready >> 2) < 2);

for (let round = 0; round < rounds; round++) {
  if (round % 8 === 0) {
    let entry = InterlockedFlushSList(head)
    while (entry !== null) {
      const next: SLIST_ENTRY | null = entry.Next
      give(entry)
      entry = next
    }
  } else {
    const first = InterlockedPopEntrySList(head)
    const second = InterlockedPopEntrySList(head)
    if (first !== null) give(first)
    if (second !== null) give(second)
  }
}

/** Gives back an entry that must be this thread's alone: the word behind the link says whose it is. */
function give(entry: SLIST_ENTRY): void {
  const owner = (entry.address >> 2) + 1
  if (Atomics.exchange(mem.i32, owner, 1) !== 0) throw new Error('an entry was taken out twice')
  Atomics.store(mem.i32, owner, 0)
  InterlockedPushEntrySList(head, entry)
}
