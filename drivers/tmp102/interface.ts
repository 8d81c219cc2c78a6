/** What programs and other drivers say to the tmp102 driver. */
import { CTL_CODE, FILE_ANY_ACCESS, FILE_DEVICE_UNKNOWN, LONG, METHOD_BUFFERED, struct, ULONG } from 'dirql/wdm'

/** Input: THRESHOLDS. ALERT comes when the temperature rises to High, and when it falls below Low then. */
export const IOCTL_TMP102_SET_THRESHOLDS = CTL_CODE(FILE_DEVICE_UNKNOWN, 0x801, METHOD_BUFFERED, FILE_ANY_ACCESS)
/** Output: STATISTICS. */
export const IOCTL_TMP102_STATISTICS = CTL_CODE(FILE_DEVICE_UNKNOWN, 0x802, METHOD_BUFFERED, FILE_ANY_ACCESS)

/** In sixteenths of a degree Celsius. */
export const THRESHOLDS = struct('THRESHOLDS', { Low: LONG, High: LONG })
export const STATISTICS = struct('STATISTICS', {
  Transactions: ULONG,
  Handovers: ULONG,
  Interrupts: ULONG,
  Alerts: ULONG,
  Retries: ULONG,
  Recoveries: ULONG,
  AlertTemperature: LONG, // at the last ALERT, sixteenths of a degree
})
