/** What the event benchmarks have a machine run: hand-overs through named events. */
import { IO_NO_INCREMENT, IoCreateSynchronizationEvent, KernelMode, KeSetEvent, KEVENT, KeWaitForSingleObject, ZwClose } from '../../ddi/wdm.ts'
import { ExAllocatePool2, ExFreePool, POOL_FLAG_NON_PAGED, struct, ULONG } from '../../ddi/wdm.ts'

const SHARED = struct('SHARED', { count: ULONG })
type SHARED = InstanceType<typeof SHARED>

export function create(): number {
  return ExAllocatePool2(POOL_FLAG_NON_PAGED, SHARED.size, 'Benc')
}

/** Gives back the count, and frees it. */
export function take(address: number): number {
  const { count } = new SHARED(address)
  ExFreePool(address)
  return count
}

async function withEvents(names: string[], body: (...events: KEVENT[]) => Promise<void>): Promise<void> {
  const handles: number[] = []
  const events = names.map((name) => {
    const handle = { value: 0 }
    const event = IoCreateSynchronizationEvent(`\\BaseNamedObjects\\${name}`, handle)
    if (event === null) throw new Error(`no event ${name}`)
    handles.push(handle.value)
    return event
  })
  await body(...events)
  for (const handle of handles) await ZwClose(handle)
}

export interface Rounds {
  address: number
  rounds: number
}

/** The event as a mutex: with two threads each release hands it to the other. */
export function share({ address, rounds }: Rounds): Promise<void> {
  const shared: SHARED = new SHARED(address)
  return withEvents(['BenchShared'], async (event) => {
    for (let round = 0; round < rounds; round++) {
      await KeWaitForSingleObject(event as KEVENT, 0, KernelMode, false, null)
      shared.count += 1
      KeSetEvent(event as KEVENT, IO_NO_INCREMENT, false)
    }
  })
}

/** Two events, both signalled when they are made: the first waits take that away. */
export function drain(): Promise<void> {
  return withEvents(['BenchPing', 'BenchPong'], async (ping, pong) => {
    for (const event of [ping, pong]) await KeWaitForSingleObject(event as KEVENT, 0, KernelMode, false, 0)
  })
}

/** One side of a ping-pong: who begins sets first, the other waits first. */
export function pingPong({ address, rounds, begins }: Rounds & { begins: boolean }): Promise<void> {
  const shared: SHARED = new SHARED(address)
  return withEvents(begins ? ['BenchPing', 'BenchPong'] : ['BenchPong', 'BenchPing'], async (other, mine) => {
    for (let round = 0; round < rounds; round++) {
      if (begins) KeSetEvent(other as KEVENT, IO_NO_INCREMENT, false)
      await KeWaitForSingleObject(mine as KEVENT, 0, KernelMode, false, null)
      shared.count += 1
      if (!begins) KeSetEvent(other as KEVENT, IO_NO_INCREMENT, false)
    }
  })
}
