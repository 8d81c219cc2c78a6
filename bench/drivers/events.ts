/** What the event benchmarks have a machine run: hand-overs through named events. */
import {
  array,
  ExAllocatePool2,
  ExFreePool,
  IO_NO_INCREMENT,
  IoCreateSynchronizationEvent,
  KernelMode,
  KeSetEvent,
  KEVENT,
  KeWaitForSingleObject,
  POOL_FLAG_NON_PAGED,
  struct,
  ULONG,
  ZwClose,
} from '../../ddi/wdm.ts'

/** The events live while these handles are open; the count is changed by whoever was handed the event. */
const SHARED = struct('SHARED', { count: ULONG, handles: array(ULONG, 3) })

const NAMES = { ping: 'BenchPing', pong: 'BenchPong', mutex: 'BenchMutex' }

function open(name: string): { event: KEVENT; handle: number } {
  const handle = { value: 0 }
  const event = IoCreateSynchronizationEvent(`\\BaseNamedObjects\\${name}`, handle)
  if (event === null) throw new Error(`no event ${name}`)
  return { event, handle: handle.value }
}

/** Makes the events; those of the ping-pong begin not signalled. */
export async function create(): Promise<number> {
  const shared = new SHARED(ExAllocatePool2(POOL_FLAG_NON_PAGED, SHARED.size, 'Benc'))
  const events = Object.values(NAMES).map(open)
  for (const [index, { event, handle }] of events.entries()) {
    shared.handles[index] = handle
    if (index < 2) await KeWaitForSingleObject(event, 0, KernelMode, false, 0)
  }
  return shared.address
}

/** Gives back the count, and frees everything. */
export async function close(address: number): Promise<number> {
  const shared = new SHARED(address)
  const { count } = shared
  for (const handle of shared.handles) await ZwClose(handle)
  ExFreePool(shared)
  return count
}

export interface Rounds {
  address: number
  rounds: number
}

/** The event as a mutex: with two threads each release hands it to the other. */
export async function share({ address, rounds }: Rounds): Promise<void> {
  const shared = new SHARED(address)
  const { event, handle } = open(NAMES.mutex)
  for (let round = 0; round < rounds; round++) {
    await KeWaitForSingleObject(event, 0, KernelMode, false, null)
    shared.count += 1
    KeSetEvent(event, IO_NO_INCREMENT, false)
  }
  await ZwClose(handle)
}

/** One side of a ping-pong: who begins sets first, the other waits first. */
export async function pingPong({ address, rounds, begins }: Rounds & { begins: boolean }): Promise<void> {
  const shared = new SHARED(address)
  const ping = open(NAMES.ping)
  const pong = open(NAMES.pong)
  const [mine, other] = begins ? [pong.event, ping.event] : [ping.event, pong.event]
  if (begins) KeSetEvent(other, IO_NO_INCREMENT, false)
  for (let round = 0; round < rounds; round++) {
    await KeWaitForSingleObject(mine, 0, KernelMode, false, null)
    shared.count += 1
    // Who began has the last word: nobody waits for it any more.
    if (!begins || round < rounds - 1) KeSetEvent(other, IO_NO_INCREMENT, false)
  }
  for (const { handle } of [ping, pong]) await ZwClose(handle)
}
