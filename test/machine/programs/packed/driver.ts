// A user's driver, as it stands in a project that has dirql from the registry.
import {
  ExAllocatePool2,
  ExFreePool,
  KeAcquireSpinLock,
  KeGetCurrentIrql,
  KeInitializeSpinLock,
  KeReleaseSpinLock,
  KSPIN_LOCK,
  POOL_FLAG_NON_PAGED,
  STATUS_SUCCESS,
  struct,
  ULONG,
  type DRIVER_OBJECT,
  type NTSTATUS,
} from 'dirql/wdm'

const COUNTER = struct('COUNTER', { lock: KSPIN_LOCK, count: ULONG })

export function DriverEntry(DriverObject: DRIVER_OBJECT): NTSTATUS {
  DriverObject.DriverUnload = unload
  return STATUS_SUCCESS
}

export function unload(_DriverObject: DRIVER_OBJECT): void {}

/** Counts to `most` under a spin lock; tells at which level that was. */
export async function count(most: number): Promise<{ count: number; irql: number }> {
  const counter = new COUNTER(ExAllocatePool2(POOL_FLAG_NON_PAGED, COUNTER.size, 'Cntr'))
  KeInitializeSpinLock(counter.lock)
  const before = { value: 0 }
  let irql = 0
  while (counter.count < most) {
    KeAcquireSpinLock(counter.lock, before)
    counter.count += 1
    irql = KeGetCurrentIrql()
    KeReleaseSpinLock(counter.lock, before.value)
  }
  const { count } = counter
  ExFreePool(counter)
  return { count, irql }
}
