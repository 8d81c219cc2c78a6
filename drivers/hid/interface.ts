/** What programs ask of the hid driver. A read of a field's file gives a LINE_EVENT (drivers/lib/lines.ts). */
import {
  CTL_CODE,
  FILE_ANY_ACCESS,
  FILE_DEVICE_UNKNOWN,
  METHOD_BUFFERED,
  METHOD_IN_DIRECT,
  METHOD_OUT_DIRECT,
  struct,
  ULONG,
} from 'dirql/wdm'

// As hidclass.h has them. Input: id and data of a report.
const CODES = 0x0b // FILE_DEVICE_KEYBOARD
export const IOCTL_HID_SET_FEATURE = CTL_CODE(CODES, 100, METHOD_IN_DIRECT, FILE_ANY_ACCESS)
export const IOCTL_HID_SET_OUTPUT_REPORT = CTL_CODE(CODES, 101, METHOD_IN_DIRECT, FILE_ANY_ACCESS)
/** Input: one byte of id. Output: id and data. */
export const IOCTL_HID_GET_FEATURE = CTL_CODE(CODES, 100, METHOD_OUT_DIRECT, FILE_ANY_ACCESS)

/** Output: STATISTICS. */
export const IOCTL_HID_STATISTICS = CTL_CODE(FILE_DEVICE_UNKNOWN, 0x801, METHOD_BUFFERED, FILE_ANY_ACCESS)
export const STATISTICS = struct('STATISTICS', {
  Reports: ULONG, // input reports that the device has told
  DeviceLost: ULONG, // those that are known to be lost before
  Lost: ULONG, // those that nobody read in time
  Commands: ULONG, // reports that were sent or got, or refused
})
