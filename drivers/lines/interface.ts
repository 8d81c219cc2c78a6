/** What programs ask of the lines driver. A read of a line's file gives a LINE_EVENT (drivers/lib/lines.ts). */
import { CTL_CODE, FILE_ANY_ACCESS, FILE_DEVICE_UNKNOWN, METHOD_BUFFERED, struct, ULONG } from 'dirql/wdm'

/** Output: STATISTICS. */
export const IOCTL_LINES_STATISTICS = CTL_CODE(FILE_DEVICE_UNKNOWN, 0x801, METHOD_BUFFERED, FILE_ANY_ACCESS)
export const STATISTICS = struct('STATISTICS', {
  Lines: ULONG, // text lines that the device has told
  Cut: ULONG, // those of them that were longer than 256 bytes
  Lost: ULONG, // text lines that nobody read in time
  Written: ULONG, // bytes that were sent
})
