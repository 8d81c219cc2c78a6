import type { DRIVER_OBJECT } from 'dirql/wdm'

export function DriverEntry(DriverObject: DRIVER_OBJECT): number {
  const missing = (DriverObject as unknown as { Nothing: { address: number } }).Nothing
  return missing.address // fault: entry
}
