import {
  ExAllocatePool2,
  ExFreePool,
  KeAcquireSpinLockRaiseToDpc,
  KeInitializeSpinLock,
  KeReleaseSpinLock,
  KSPIN_LOCK,
  POOL_FLAG_NON_PAGED,
  STATUS_SUCCESS,
  struct,
  ULONG,
} from 'dirql/wdm'

const COUNTER = struct('COUNTER', { lock: KSPIN_LOCK, count: ULONG })

export function DriverEntry(): number {
  return STATUS_SUCCESS
}

/** Counts to `most` under a spin lock. */
export function count(most: number): number {
  const counter = new COUNTER(ExAllocatePool2(POOL_FLAG_NON_PAGED, COUNTER.size, 'Cntr'))
  KeInitializeSpinLock(counter.lock)
  while (counter.count < most) {
    const before = KeAcquireSpinLockRaiseToDpc(counter.lock)
    counter.count += 1
    KeReleaseSpinLock(counter.lock, before)
  }
  const { count } = counter
  ExFreePool(counter)
  return count
}
