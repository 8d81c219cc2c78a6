/** A driver in which every export breaks one rule; the line that a bug check must name ends with `// fault: NAME`. */
import {
  DISPATCH_LEVEL,
  ExAllocatePool2,
  ExFreePool,
  IO_NO_INCREMENT,
  IofCompleteRequest,
  IoConnectInterrupt,
  IoCreateDevice,
  IoCreateNotificationEvent,
  IoCreateSymbolicLink,
  IRP_MJ_CREATE,
  KDPC,
  KeAcquireSpinLockRaiseToDpc,
  KeGetCurrentIrql,
  KeInitializeDpc,
  KeInitializeEvent,
  KeInitializeSpinLock,
  KeInsertQueueDpc,
  KeLowerIrql,
  KeRaiseIrql,
  KeReleaseSpinLock,
  KernelMode,
  KeSetEvent,
  KEVENT,
  KeWaitForSingleObject,
  KSPIN_LOCK,
  LevelSensitive,
  NotificationEvent,
  POOL_FLAG_NON_PAGED,
  PsCreateSystemThread,
  STATUS_SUCCESS,
  struct,
  THREAD_ALL_ACCESS,
  ZwClose,
  type DEVICE_OBJECT,
  type DRIVER_OBJECT,
  type IRP,
  type KINTERRUPT,
  type NTSTATUS,
} from 'dirql/wdm'
import { levelOf, requestVector, vectorOf } from '../../../../kernel/ke/interrupt.ts'
import { cpu } from '../../../../kernel/ke/pcr.ts'

const MISTAKES = struct('MISTAKES', { lock: KSPIN_LOCK, other: KSPIN_LOCK, event: KEVENT, dpc: KDPC })
type MISTAKES = InstanceType<typeof MISTAKES>

/** The device says which mistake its dispatch routine makes. */
const THROWS = 0x22
const COMPLETES_TWICE = 0x23

export function DriverEntry(DriverObject: DRIVER_OBJECT): NTSTATUS {
  DriverObject.MajorFunction.set(IRP_MJ_CREATE, dispatch)
  return device(DriverObject, 'Throws', THROWS) || device(DriverObject, 'Twice', COMPLETES_TWICE)
}

function device(DriverObject: DRIVER_OBJECT, name: string, DeviceType: number): NTSTATUS {
  const DeviceObject: { value: DEVICE_OBJECT | null } = { value: null }
  return (
    IoCreateDevice({
      DriverObject,
      DeviceExtensionSize: 0,
      DeviceName: `\\Device\\${name}`,
      DeviceType,
      DeviceCharacteristics: 0,
      Exclusive: false,
      DeviceObject,
    }) || IoCreateSymbolicLink(`\\??\\${name}`, `\\Device\\${name}`)
  )
}

export function dispatch({ DeviceType }: DEVICE_OBJECT, irp: IRP): NTSTATUS {
  if (DeviceType === THROWS) throw new Error('from the dispatch routine') // fault: dispatch
  irp.IoStatus.Status = STATUS_SUCCESS
  IofCompleteRequest(irp, IO_NO_INCREMENT)
  IofCompleteRequest(irp, IO_NO_INCREMENT) // fault: completeTwice
  return STATUS_SUCCESS
}

function make(): MISTAKES {
  const made = new MISTAKES(ExAllocatePool2(POOL_FLAG_NON_PAGED, MISTAKES.size, 'Mist'))
  KeInitializeSpinLock(made.lock)
  KeInitializeSpinLock(made.other)
  KeInitializeEvent(made.event, NotificationEvent, false)
  return made
}

/** What is wrong nowhere. */
export function sound(): number {
  return KeGetCurrentIrql()
}

export function localRoutine(): void {
  KeInitializeDpc(make().dpc, () => {}, null)
}

export function objectContext(): void {
  KeInitializeDpc(make().dpc, quietDpc, { some: 'object' } as never)
}
export function quietDpc(): void {}

// Exceptions.

export function throwingIsr(): boolean {
  throw new Error('from the ISR') // fault: isr
}
export function isr(): void {
  const vector = vectorOf(5, 0x51)
  const box: { value: KINTERRUPT | null } = { value: null }
  const status = IoConnectInterrupt({
    InterruptObject: box,
    ServiceRoutine: throwingIsr,
    ServiceContext: null,
    SpinLock: null,
    Vector: vector,
    Irql: levelOf(vector),
    SynchronizeIrql: levelOf(vector),
    InterruptMode: LevelSensitive,
    ShareVector: false,
    ProcessorEnableMask: 1 << cpu.number,
    FloatingSave: false,
  })
  if (status !== STATUS_SUCCESS) throw new Error(`not connected: ${status}`)
  requestVector(cpu.number, vector)
  KeGetCurrentIrql()
}

export function throwingDpc(): void {
  throw new Error('from the DPC') // fault: dpc
}
export function dpc(): void {
  const { dpc } = make()
  KeInitializeDpc(dpc, throwingDpc, null)
  KeInsertQueueDpc(dpc, null, null)
}

export async function thread(): Promise<void> {
  const handle = { value: 0 }
  PsCreateSystemThread({
    ThreadHandle: handle,
    DesiredAccess: THREAD_ALL_ACCESS,
    ObjectAttributes: null,
    ProcessHandle: null,
    ClientId: null,
    StartRoutine: throwingThread,
    StartContext: null,
  })
  await KeWaitForSingleObject(make().event, 0, KernelMode, false, null)
}
export async function throwingThread(): Promise<void> {
  await Promise.resolve()
  throw new Error('from the thread') // fault: thread
}

// Waiting where nothing may wait.

export async function waitAtDispatch(): Promise<void> {
  const { event } = make()
  const before = { value: 0 }
  KeRaiseIrql(DISPATCH_LEVEL, before)
  await KeWaitForSingleObject(event, 0, KernelMode, false, null) // fault: waitAtDispatch
  KeLowerIrql(before.value)
}

export async function awaitAtDispatch(): Promise<void> {
  const before = { value: 0 }
  KeRaiseIrql(DISPATCH_LEVEL, before)
  await Promise.resolve() // fault: awaitAtDispatch
  KeLowerIrql(before.value)
}

export async function awaitWithLock(): Promise<void> {
  const { lock } = make()
  const before = KeAcquireSpinLockRaiseToDpc(lock)
  await Promise.resolve() // fault: awaitWithLock
  KeReleaseSpinLock(lock, before)
}

export async function forgottenAwait(): Promise<void> {
  const { event } = make()
  void KeWaitForSingleObject(event, 0, KernelMode, false, null) // fault: forgottenAwait
  KeSetEvent(event, IO_NO_INCREMENT, false)
}

// Locks.

export function lockTwice(): void {
  const { lock } = make()
  KeAcquireSpinLockRaiseToDpc(lock)
  KeAcquireSpinLockRaiseToDpc(lock) // fault: lockTwice
}

export function releaseFree(): void {
  const { lock, other } = make()
  const before = KeAcquireSpinLockRaiseToDpc(lock)
  KeReleaseSpinLock(other, before) // fault: releaseFree
}

/** Run on two processors: the second gives back what the first has taken. */
export function takeAndKeep(): number {
  const { lock } = make()
  KeAcquireSpinLockRaiseToDpc(lock)
  return lock.address
}
export function releaseOthers(address: number): void {
  const before = { value: 0 }
  KeRaiseIrql(DISPATCH_LEVEL, before)
  KeReleaseSpinLock(new KSPIN_LOCK(address), before.value) // fault: releaseOthers
}

// Objects.

export async function closeTwice(): Promise<void> {
  const handle = { value: 0 }
  IoCreateNotificationEvent('\\BaseNamedObjects\\Closed', handle)
  await ZwClose(handle.value)
  await ZwClose(handle.value) // fault: closeTwice
}

export function freeTwice(): void {
  const block = ExAllocatePool2(POOL_FLAG_NON_PAGED, 64, 'Mist')
  ExFreePool(block)
  ExFreePool(block) // fault: freeTwice
}

/** Takes all there is; gives back how many blocks that were, and what a DDI says that finds nothing left. */
export function exhaust(): { blocks: number; device: NTSTATUS } {
  let blocks = 0
  for (let size = 4096; size > 0; size -= 16)
    while (ExAllocatePool2(POOL_FLAG_NON_PAGED, size, 'Mist') !== 0) blocks += 1
  const handle = { value: 0 }
  const device = PsCreateSystemThread({
    ThreadHandle: handle,
    DesiredAccess: THREAD_ALL_ACCESS,
    ObjectAttributes: null,
    ProcessHandle: null,
    ClientId: null,
    StartRoutine: quietThread,
    StartContext: null,
  })
  return { blocks, device }
}
export async function quietThread(): Promise<void> {}

// Threads of the host.

export function exit(): void {
  process.exit(7)
}

export function hang(): void {
  for (;;); // on several processors the watchdog knows no line: nothing of this thread can be asked
}

/** Outside every thread: nobody catches it. */
export async function callback(): Promise<void> {
  queueMicrotask(() => {
    throw new Error('outside every thread') // fault: callback
  })
  await KeWaitForSingleObject(make().event, 0, KernelMode, false, null)
}
