/** Routines of the walking skeleton's gates: run on machines of one and of several processors. */
import { readFile, writeFile } from 'node:fs/promises'
import {
  array,
  ExAllocatePool2,
  Executive,
  HighImportance,
  IoConnectInterrupt,
  KDPC,
  KEVENT,
  KeDelayExecutionThread,
  KeGetCurrentIrql,
  KeGetCurrentThread,
  KeInitializeDpc,
  KeInitializeEvent,
  KeInsertQueueDpc,
  KeInitializeSpinLock,
  KeAcquireSpinLockRaiseToDpc,
  KeLowerIrql,
  KeRaiseIrql,
  KernelMode,
  KeSetEvent,
  KeSetImportanceDpc,
  KeSetTargetProcessorDpc,
  KeSynchronizeExecution,
  KeWaitForSingleObject,
  KINTERRUPT,
  KSPIN_LOCK,
  LevelSensitive,
  MmMapIoSpace,
  MmNonCached,
  NotificationEvent,
  out,
  pointer,
  POOL_FLAG_NON_PAGED,
  READ_REGISTER_ULONG,
  ref,
  STATUS_SUCCESS,
  struct,
  SynchronizationEvent,
  ULONG,
  YieldProcessor,
  host,
} from 'dirql/wdm'
import { nextTurn } from '../../../hal/timers.ts'

const WAITABLE = struct('GATE_WAITABLE', { First: KEVENT, Second: KEVENT, Lock: KSPIN_LOCK, Dpc: KDPC, Flag: ULONG })
type WAITABLE = InstanceType<typeof WAITABLE>

function make(): WAITABLE {
  const made = new WAITABLE(ExAllocatePool2(POOL_FLAG_NON_PAGED, WAITABLE.size, 'Gate'))
  KeInitializeEvent(made.First, SynchronizationEvent, false)
  KeInitializeEvent(made.Second, SynchronizationEvent, false)
  KeInitializeSpinLock(made.Lock)
  return made
}

/** Makes events, a lock and a flag; gives back where. */
export const makeGate = (): number => make().address

const hop = async (depth: number): Promise<void> => {
  await Promise.resolve()
  if (depth > 0) await hop(depth - 1)
}

/** Awaits everything there is to await, `rounds` times; gives back how often thread or IRQL was wrong behind it. */
export async function identity(rounds: number): Promise<number> {
  const mine = KeGetCurrentThread().address
  const gate = make()
  let wrong = 0
  const look = (irql: number): void => {
    if (KeGetCurrentThread().address !== mine || KeGetCurrentIrql() !== irql) wrong += 1
  }
  for (let round = 0; round < rounds; round++) {
    const old = out<number>()
    const level = round % 2
    KeRaiseIrql(level, old)
    await hop(round % 4)
    look(level)
    await nextTurn()
    look(level)
    KeLowerIrql(0)
    await KeDelayExecutionThread(KernelMode, false, -1)
    look(0)
    await host(readFile(import.meta.filename))
    look(0)
    KeSetEvent(gate.First, 0, false)
    await KeWaitForSingleObject(gate.First, Executive, KernelMode, false, null)
    look(0)
    await Promise.all([hop(2), hop(3)])
    look(0)
  }
  return wrong
}

/** An await with a spin lock held. */
export async function awaitUnderLock(): Promise<void> {
  const gate = make()
  KeAcquireSpinLockRaiseToDpc(gate.Lock)
  await Promise.resolve() // here
}

/** A wait without `await`. */
export async function forgetAwait(): Promise<void> {
  const gate = make()
  void KeWaitForSingleObject(gate.First, Executive, KernelMode, false, null) // here
  KeSetEvent(gate.Second, 0, false)
  await Promise.resolve()
}

export function die(): void {
  setImmediate(() => {
    throw new Error('the worker dies of this')
  })
}

export function exit(): void {
  process.exit(3)
}

export function hang(): void {
  for (;;);
}

/** Waits for a file of the host that takes its time, then touches its memory. */
export async function comeBackLate({ address, path }: { address: number; path: string }): Promise<void> {
  const gate = new WAITABLE(address)
  for (;;) {
    const text = await readFile(path, 'utf8').catch(() => '')
    if (text === 'go') break
    await nextTurn()
  }
  gate.Flag = 0xdead
  await writeFile(`${path}.back`, 'back')
  KeSetEvent(gate.First, 0, false)
}

/** Milliseconds that a read of a file took while nothing else happened. */
export async function readIdle(milliseconds: number): Promise<number> {
  await KeDelayExecutionThread(KernelMode, false, -milliseconds * 10_000)
  let longest = 0
  for (let round = 0; round < 10; round++) {
    const start = process.hrtime.bigint()
    await readFile(import.meta.filename)
    longest = Math.max(longest, Number(process.hrtime.bigint() - start) / 1e6)
  }
  return longest
}

/** CPU time of this process while a thread waits `milliseconds`, as a share of that time. */
export async function idleShare(milliseconds: number): Promise<number> {
  const cpu = process.cpuUsage()
  const start = process.hrtime.bigint()
  await KeDelayExecutionThread(KernelMode, false, -milliseconds * 10_000)
  const { user, system } = process.cpuUsage(cpu)
  return (user + system) / (Number(process.hrtime.bigint() - start) / 1000)
}

/** Satisfied waits without end, until `gate.Flag` is set; gives back how many. */
export async function stormOfWaits(address: number): Promise<number> {
  const gate = new WAITABLE(address)
  let count = 0
  while (gate.Flag === 0) {
    KeSetEvent(gate.First, 0, false)
    await KeWaitForSingleObject(gate.First, Executive, KernelMode, false, null)
    count += 1
  }
  return count
}

/** A DPC that queues itself again, until the flag is set. @irql DISPATCH_LEVEL */
export function stormDpc(dpc: KDPC, gate: WAITABLE): void {
  if (gate.Flag === 0) KeInsertQueueDpc(dpc, null, null)
}

export async function stormOfDpcs(address: number): Promise<void> {
  const gate = new WAITABLE(address)
  KeInitializeDpc(gate.Dpc, stormDpc, gate)
  KeInsertQueueDpc(gate.Dpc, null, null)
  while (gate.Flag === 0) await KeDelayExecutionThread(KernelMode, false, -10_000)
}

export function setFlag(address: number): void {
  new WAITABLE(address).Flag = 1
}

/** Sets the flag. @irql DISPATCH_LEVEL */
export function flagDpc(_dpc: KDPC, gate: WAITABLE): void {
  gate.Flag = 1
}

/** Polls for what a DPC of processor `processor` does. */
export function pollForDpc({ address, processor }: { address: number; processor: number }): number {
  const gate = new WAITABLE(address)
  KeInitializeDpc(gate.Dpc, flagDpc, gate)
  KeSetTargetProcessorDpc(gate.Dpc, processor)
  KeSetImportanceDpc(gate.Dpc, HighImportance)
  KeInsertQueueDpc(gate.Dpc, null, null)
  let polls = 0
  while (gate.Flag === 0) {
    polls += 1
    YieldProcessor()
  }
  return polls
}

/** Polls for what never comes. */
export function pollForever(address: number): void {
  const gate = new WAITABLE(address)
  while (gate.Flag === 0) YieldProcessor()
}

/** A device whose registers must all tell the same: what the ISR and SynchCritSections saw. */
const SEEN = struct('GATE_SEEN', {
  Registers: ULONG,
  Interrupt: pointer(KINTERRUPT),
  Interrupts: ULONG,
  Torn: ULONG,
  Looks: ULONG,
  Stop: ULONG,
  Stopped: KEVENT,
  Last: array(ULONG, 8),
})
type SEEN = InstanceType<typeof SEEN>

const WORDS = 8

/** All registers of a snapshot have one value, or it is torn. */
function look(seen: SEEN): void {
  const first = READ_REGISTER_ULONG(seen.Registers)
  for (let word = 1; word < WORDS; word++) {
    if (READ_REGISTER_ULONG(seen.Registers + word * 4) !== first) seen.Torn += 1
  }
  seen.Looks += 1
}

/** @irql DIRQL, interrupt spin lock held */
export function snapshotIsr(_interrupt: KINTERRUPT, seen: SEEN): boolean {
  seen.Interrupts += 1
  look(seen)
  return true
}

/** @irql DIRQL, interrupt spin lock held */
export function snapshotLook(seen: SEEN): boolean {
  look(seen)
  return true
}

/** Connects to `vector` on processor `processor`. */
export function connectSnapshot(plan: { window: number; vector: number; level: number; processor: number }): number {
  const seen = new SEEN(ExAllocatePool2(POOL_FLAG_NON_PAGED, SEEN.size, 'Gate'))
  seen.Registers = MmMapIoSpace(plan.window, WORDS * 4, MmNonCached)
  KeInitializeEvent(seen.Stopped, NotificationEvent, false)
  const status = IoConnectInterrupt({
    InterruptObject: ref(seen, 'Interrupt'),
    ServiceRoutine: snapshotIsr,
    ServiceContext: seen,
    SpinLock: null,
    Vector: plan.vector,
    Irql: plan.level,
    SynchronizeIrql: plan.level,
    InterruptMode: LevelSensitive,
    ShareVector: false,
    ProcessorEnableMask: 1 << plan.processor,
    FloatingSave: false,
  })
  if (status !== STATUS_SUCCESS) throw new Error(`connect: 0x${(status >>> 0).toString(16)}`)
  return seen.address
}

/** Looks at the snapshot again and again: under the interrupt's lock, or without it. */
export async function lookForTorn(plan: { address: number; locked: boolean; looks: number }): Promise<number> {
  const seen = new SEEN(plan.address)
  const { Interrupt } = seen
  for (let count = 0; count < plan.looks; count++) {
    if (plan.locked && Interrupt !== null) KeSynchronizeExecution(Interrupt, snapshotLook, seen)
    else look(seen)
    if (count % 1000 === 999) await KeDelayExecutionThread(KernelMode, false, -1)
  }
  return seen.Torn
}

export function tornSoFar(address: number): { torn: number; interrupts: number } {
  const { Torn, Interrupts } = new SEEN(address)
  return { torn: Torn, interrupts: Interrupts }
}

/** What `makeGate` made, as it is now. */
export function readGate(address: number): number[] {
  const { First, Second, Flag } = new WAITABLE(address)
  return [First.Header.SignalState, Second.Header.SignalState, Flag]
}
