// A driver without DriverEntry.
export function notDriverEntry(): number {
  return 0
}
