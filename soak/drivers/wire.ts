/** A driver whose ISR checks the board's count of interrupts and answers each with a register write. */
import {
  ExAllocatePool2,
  ExFreePool,
  Executive,
  IO_NO_INCREMENT,
  IoConnectInterrupt,
  IoDisconnectInterrupt,
  KDPC,
  KEVENT,
  KeInitializeDpc,
  KeInitializeEvent,
  KeInsertQueueDpc,
  KernelMode,
  KeSetEvent,
  KeWaitForSingleObject,
  KINTERRUPT,
  Latched,
  MmMapIoSpace,
  MmNonCached,
  MmUnmapIoSpace,
  NotificationEvent,
  NT_SUCCESS,
  pointer,
  POOL_FLAG_NON_PAGED,
  READ_REGISTER_ULONG,
  ref,
  struct,
  ULONG,
  WRITE_REGISTER_ULONG,
} from 'dirql/wdm'

/** Registers of the soaked board. */
export const EDGES = 0 // count: interrupts that the board made
export const ANSWER = 4 // command: the count that the driver has seen
const REGISTER_BYTES = 8

const WIRE = struct('SOAK_WIRE', {
  // Guarded by the interrupt spin lock.
  Seen: ULONG, // the highest count seen
  Interrupts: ULONG,
  Lost: ULONG,
  Doubled: ULONG,
  Reordered: ULONG,

  // Set before the interrupt is connected.
  Registers: ULONG, // address of the register window
  Count: ULONG, // interrupts to come
  Interrupt: pointer(KINTERRUPT),
  Dpc: KDPC,
  Done: KEVENT, // notification: all have come
})
type WIRE = InstanceType<typeof WIRE>

export interface WirePlan {
  window: number
  vector: number
  level: number
  count: number
}

export interface WireSeen {
  interrupts: number
  lost: number
  doubled: number
  reordered: number
}

/** Connects, waits until `count` interrupts were seen, and tells what they were. @irql PASSIVE_LEVEL */
export async function soak({ window, vector, level, count }: WirePlan): Promise<WireSeen> {
  const wire = new WIRE(ExAllocatePool2(POOL_FLAG_NON_PAGED, WIRE.size, 'Soak'))
  wire.Registers = MmMapIoSpace(window, REGISTER_BYTES, MmNonCached)
  wire.Count = count
  KeInitializeDpc(wire.Dpc, doneDpc, wire)
  KeInitializeEvent(wire.Done, NotificationEvent, false)
  const status = IoConnectInterrupt({
    InterruptObject: ref(wire, 'Interrupt'),
    ServiceRoutine: wireIsr,
    ServiceContext: wire,
    SpinLock: null,
    Vector: vector,
    Irql: level,
    SynchronizeIrql: level,
    InterruptMode: Latched,
    ShareVector: false,
    ProcessorEnableMask: 1,
    FloatingSave: false,
  })
  if (!NT_SUCCESS(status)) throw new Error(`IoConnectInterrupt: 0x${(status >>> 0).toString(16)}`)
  await KeWaitForSingleObject(wire.Done, Executive, KernelMode, false, null)
  if (wire.Interrupt !== null) await IoDisconnectInterrupt(wire.Interrupt)
  const { Interrupts, Lost, Doubled, Reordered } = wire
  MmUnmapIoSpace(wire.Registers, REGISTER_BYTES)
  ExFreePool(wire)
  return { interrupts: Interrupts, lost: Lost, doubled: Doubled, reordered: Reordered }
}

/** @irql DIRQL, interrupt spin lock held */
export function wireIsr(_interrupt: KINTERRUPT, wire: WIRE): boolean {
  const edges = READ_REGISTER_ULONG(wire.Registers + EDGES)
  const seen = wire.Seen
  wire.Interrupts += 1
  if (edges === seen) wire.Doubled += 1
  else if (edges < seen) wire.Reordered += 1
  else wire.Lost += edges - seen - 1
  if (edges > seen) wire.Seen = edges
  WRITE_REGISTER_ULONG(wire.Registers + ANSWER, edges)
  if (edges >= wire.Count) KeInsertQueueDpc(wire.Dpc, null, null)
  return true
}

/** @irql DISPATCH_LEVEL */
export function doneDpc(_dpc: KDPC, wire: WIRE): void {
  KeSetEvent(wire.Done, IO_NO_INCREMENT, false)
}
