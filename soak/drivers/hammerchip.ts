/**
 * The second driver of the soak `hammer`: two interrupts on two processors and at two levels share one lock and one
 * state, ISRs queue a DPC, and threads synchronize with both.
 */
import {
  DEVICE_OBJECT,
  DO_BUFFERED_IO,
  DO_DEVICE_INITIALIZING,
  type DRIVER_OBJECT,
  FILE_DEVICE_UNKNOWN,
  globals,
  IoConnectInterrupt,
  IoCreateDevice,
  IoCreateSymbolicLink,
  IoDeleteDevice,
  IoDeleteSymbolicLink,
  IoDisconnectInterrupt,
  type IRP,
  IRP_MJ_CLEANUP,
  IRP_MJ_CLOSE,
  IRP_MJ_CREATE,
  IRP_MJ_DEVICE_CONTROL,
  KDPC,
  KeAcquireInterruptSpinLock,
  KeAcquireSpinLockAtDpcLevel,
  KeAcquireSpinLockRaiseToDpc,
  KeInitializeDpc,
  KeInitializeSpinLock,
  KeInsertQueueDpc,
  KeReleaseInterruptSpinLock,
  KeReleaseSpinLock,
  KeReleaseSpinLockFromDpcLevel,
  KeSynchronizeExecution,
  KEVENT,
  KINTERRUPT,
  KSPIN_LOCK,
  LevelSensitive,
  NT_SUCCESS,
  type NTSTATUS,
  out,
  type Out,
  pointer,
  ref,
  STATUS_INSUFFICIENT_RESOURCES,
  STATUS_SUCCESS,
  ULONG,
  ZwClose,
} from 'dirql/wdm'
import { requestVector, vectorOf } from '../../kernel/ke/interrupt.ts'
import { complete, control, type Done, now, openEvent, useBus, type Work, Worker } from './hammer.ts'

const NAME = '\\Device\\HammerChip'
const LINK = '\\??\\HammerChip'
/** No device stands on these vectors: the driver asserts them itself. One on each processor. */
const VECTORS = [vectorOf(5, 0x50), vectorOf(7, 0x50)] as const
const LEVELS = [5, 7] as const
const HIGHER = 7

export const chip = globals({
  InterruptLock: KSPIN_LOCK,
  // Guarded by the interrupt lock.
  First: ULONG,
  Second: ULONG, // always the same as First
  Served: ULONG, // interrupts
  Undrained: ULONG, // of these, not seen by the DPC yet
  Torn: ULONG, // times that an ISR found the state torn

  DpcLock: KSPIN_LOCK,
  // Guarded by it.
  Drained: ULONG,
  Spun: ULONG,
  SpunTwin: ULONG,
  DpcTorn: ULONG,

  // Set in DriverEntry.
  Dpc: KDPC,
  Lower: pointer(KINTERRUPT),
  Higher: pointer(KINTERRUPT),
  Device: pointer(DEVICE_OBJECT),
  Event: pointer(KEVENT),
  EventHandle: ULONG,
})

/** @irql PASSIVE_LEVEL */
export function DriverEntry(DriverObject: DRIVER_OBJECT): NTSTATUS {
  KeInitializeSpinLock(chip.InterruptLock)
  KeInitializeSpinLock(chip.DpcLock)
  KeInitializeDpc(chip.Dpc, drain, null)
  const handle = out<number>()
  chip.Event = openEvent(handle)
  if (chip.Event === null) return STATUS_INSUFFICIENT_RESOURCES
  chip.EventHandle = handle.value
  for (const [index, box] of [ref(chip, 'Lower'), ref(chip, 'Higher')].entries()) {
    const status = connect(index, box)
    if (!NT_SUCCESS(status)) return status
  }
  const created = out<DEVICE_OBJECT>()
  const status = IoCreateDevice({
    DriverObject,
    DeviceExtensionSize: 0,
    DeviceName: NAME,
    DeviceType: FILE_DEVICE_UNKNOWN,
    DeviceCharacteristics: 0,
    Exclusive: false,
    DeviceObject: created,
  })
  if (!NT_SUCCESS(status)) return status
  const device = created.value
  chip.Device = device
  for (const major of [IRP_MJ_CREATE, IRP_MJ_CLEANUP, IRP_MJ_CLOSE]) DriverObject.MajorFunction.set(major, succeed)
  DriverObject.MajorFunction.set(IRP_MJ_DEVICE_CONTROL, deviceControl)
  DriverObject.DriverUnload = unload
  device.Flags = (device.Flags | DO_BUFFERED_IO) & ~DO_DEVICE_INITIALIZING
  return IoCreateSymbolicLink(LINK, NAME)
}

function connect(index: number, InterruptObject: Out<KINTERRUPT | null>): NTSTATUS {
  return IoConnectInterrupt({
    InterruptObject,
    ServiceRoutine: isr,
    ServiceContext: null,
    SpinLock: chip.InterruptLock,
    Vector: VECTORS[index] ?? 0,
    Irql: LEVELS[index] ?? 0,
    SynchronizeIrql: HIGHER,
    InterruptMode: LevelSensitive,
    ShareVector: false,
    ProcessorEnableMask: 1 << index,
    FloatingSave: false,
  })
}

/** @irql PASSIVE_LEVEL */
export async function unload(_DriverObject: DRIVER_OBJECT): Promise<void> {
  if (chip.Lower !== null) await IoDisconnectInterrupt(chip.Lower)
  if (chip.Higher !== null) await IoDisconnectInterrupt(chip.Higher)
  IoDeleteSymbolicLink(LINK)
  if (chip.Device !== null) IoDeleteDevice(chip.Device)
  await ZwClose(chip.EventHandle)
}

/** @irql PASSIVE_LEVEL */
export function succeed(_DeviceObject: DEVICE_OBJECT, Irp: IRP): NTSTATUS {
  return complete(Irp, STATUS_SUCCESS)
}

/** @irql PASSIVE_LEVEL */
export function deviceControl(_DeviceObject: DEVICE_OBJECT, Irp: IRP): Promise<NTSTATUS> {
  return control(Irp, work)
}

/** What one worker does to the chip. A system thread, or a program's, runs it. @irql PASSIVE_LEVEL */
export function work(wanted: Work): Promise<Done> {
  return new Worker(wanted).run((worker) => {
    const choice = worker.random.below(16)
    if (choice < 4) return synchronize(worker)
    if (choice < 6) return acquire(worker)
    if (choice < 10) return assert(worker)
    if (choice < 13) return spin(worker)
    return useBus(worker, chip.Event as KEVENT)
  })
}

/** Either of the interrupts: their lock is one. */
const anyOf = ({ random }: Worker): KINTERRUPT => (random.chance(0.5) ? chip.Lower : chip.Higher) as KINTERRUPT

function synchronize(worker: Worker): void {
  const since = now()
  worker.expect(Boolean(KeSynchronizeExecution(anyOf(worker), advance, null)))
  worker.waited(since)
  worker.done.Synchronized += 1
}

function acquire(worker: Worker): void {
  const interrupt = anyOf(worker)
  const since = now()
  const irql = KeAcquireInterruptSpinLock(interrupt)
  worker.waited(since)
  worker.expect(advance())
  KeReleaseInterruptSpinLock(interrupt, irql)
  worker.done.Synchronized += 1
}

/** Has one of the processors interrupted. */
function assert(worker: Worker): void {
  const index = worker.random.below(2)
  requestVector(index, VECTORS[index] ?? 0)
  worker.done.Asserted += 1
}

function spin(worker: Worker): void {
  const since = now()
  const irql = KeAcquireSpinLockRaiseToDpc(chip.DpcLock)
  worker.waited(since)
  worker.expect(chip.Spun === chip.SpunTwin)
  chip.Spun += 1
  chip.SpunTwin += 1
  KeReleaseSpinLock(chip.DpcLock, irql)
  worker.done.Spun += 1
}

/** A SynchCritSection: FALSE when it finds the state torn. @irql DIRQL, interrupt lock held */
export function advance(): boolean {
  const { First, Second } = chip
  chip.First = First + 1
  chip.Second = Second + 1
  return First === Second && chip.First === chip.Second
}

/** @irql DIRQL, interrupt lock held */
export function isr(_Interrupt: KINTERRUPT): boolean {
  if (!advance()) chip.Torn += 1
  chip.Served += 1
  chip.Undrained += 1
  KeInsertQueueDpc(chip.Dpc, null, null)
  return true
}

/** @irql DISPATCH_LEVEL */
export function drain(_Dpc: KDPC): void {
  const interrupt = chip.Higher as KINTERRUPT
  KeAcquireSpinLockAtDpcLevel(chip.DpcLock)
  const irql = KeAcquireInterruptSpinLock(interrupt)
  const undrained = chip.Undrained
  chip.Undrained = 0
  if (chip.First !== chip.Second) chip.DpcTorn += 1
  KeReleaseInterruptSpinLock(interrupt, irql)
  chip.Drained += undrained
  if (chip.Spun !== chip.SpunTwin) chip.DpcTorn += 1
  KeReleaseSpinLockFromDpcLevel(chip.DpcLock)
}

/** What the chip has counted. */
export function counted(): Record<'first' | 'second' | 'served' | 'drained' | 'undrained' | 'spun' | 'torn', number> {
  return {
    first: chip.First,
    second: chip.Second,
    served: chip.Served,
    drained: chip.Drained,
    undrained: chip.Undrained,
    spun: chip.Spun,
    torn: chip.Torn + chip.DpcTorn,
  }
}
