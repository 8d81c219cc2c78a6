/** What programs and other drivers say to the at24 driver. */
import { CTL_CODE, FILE_ANY_ACCESS, FILE_DEVICE_UNKNOWN, METHOD_BUFFERED, struct, ULONG } from 'dirql/wdm'

/** Output: STATISTICS. */
export const IOCTL_AT24_STATISTICS = CTL_CODE(FILE_DEVICE_UNKNOWN, 0x802, METHOD_BUFFERED, FILE_ANY_ACCESS)

export const STATISTICS = struct('STATISTICS', {
  Transactions: ULONG,
  Handovers: ULONG,
  Interrupts: ULONG,
  PagesWritten: ULONG,
  Retries: ULONG,
  Recoveries: ULONG,
})
