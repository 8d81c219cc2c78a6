/** Drivers' state for `globals.test.ts`: what is exported, and what nobody can find. */
import {
  array,
  type DRIVER_OBJECT,
  globals,
  KeAcquireSpinLockRaiseToDpc,
  KeReleaseSpinLock,
  KSPIN_LOCK,
  type NTSTATUS,
  STATUS_SUCCESS,
  ULONG,
} from 'dirql/wdm'

export const Globals = globals({ count: ULONG, lock: KSPIN_LOCK, ticks: array(ULONG, 4) })
export const More = globals({ count: ULONG })
const Hidden = globals({ count: ULONG })

export function DriverEntry(driver: DRIVER_OBJECT): NTSTATUS {
  driver.DriverUnload = unload
  Globals.count += 1
  return STATUS_SUCCESS
}

export function unload(): void {
  Globals.count = 0xdead // the next load must not see it
}

export function add(by: number): number {
  const irql = KeAcquireSpinLockRaiseToDpc(Globals.lock)
  Globals.count += by
  Globals.ticks[1]! += 1
  More.count += 2
  KeReleaseSpinLock(Globals.lock, irql)
  return Globals.count
}

export const read = (): number[] => [Globals.count, Globals.ticks[1]!, More.count]
export const addresses = (): number[] => [Globals.address, More.address]
export const hidden = (): number => Hidden.count
