import { STATUS_INSUFFICIENT_RESOURCES } from 'dirql/wdm'

export function DriverEntry(): number {
  return STATUS_INSUFFICIENT_RESOURCES
}
