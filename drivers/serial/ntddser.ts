/** Control codes, bits and structs of serial ports, as ntddser.h has them. */
import {
  array,
  BOOLEAN,
  CTL_CODE,
  FILE_ANY_ACCESS,
  FILE_DEVICE_SERIAL_PORT,
  LONG,
  METHOD_BUFFERED,
  struct,
  UCHAR,
  ULONG,
  USHORT,
  WCHAR,
} from 'dirql/wdm'

const code = (number: number): number => CTL_CODE(FILE_DEVICE_SERIAL_PORT, number, METHOD_BUFFERED, FILE_ANY_ACCESS)

export const IOCTL_SERIAL_SET_BAUD_RATE = code(1)
export const IOCTL_SERIAL_SET_QUEUE_SIZE = code(2)
export const IOCTL_SERIAL_SET_LINE_CONTROL = code(3)
export const IOCTL_SERIAL_SET_BREAK_ON = code(4)
export const IOCTL_SERIAL_SET_BREAK_OFF = code(5)
export const IOCTL_SERIAL_IMMEDIATE_CHAR = code(6)
export const IOCTL_SERIAL_SET_TIMEOUTS = code(7)
export const IOCTL_SERIAL_GET_TIMEOUTS = code(8)
export const IOCTL_SERIAL_SET_DTR = code(9)
export const IOCTL_SERIAL_CLR_DTR = code(10)
export const IOCTL_SERIAL_RESET_DEVICE = code(11)
export const IOCTL_SERIAL_SET_RTS = code(12)
export const IOCTL_SERIAL_CLR_RTS = code(13)
export const IOCTL_SERIAL_SET_XOFF = code(14)
export const IOCTL_SERIAL_SET_XON = code(15)
export const IOCTL_SERIAL_GET_WAIT_MASK = code(16)
export const IOCTL_SERIAL_SET_WAIT_MASK = code(17)
export const IOCTL_SERIAL_WAIT_ON_MASK = code(18)
export const IOCTL_SERIAL_PURGE = code(19)
export const IOCTL_SERIAL_GET_BAUD_RATE = code(20)
export const IOCTL_SERIAL_GET_LINE_CONTROL = code(21)
export const IOCTL_SERIAL_GET_CHARS = code(22)
export const IOCTL_SERIAL_SET_CHARS = code(23)
export const IOCTL_SERIAL_GET_HANDFLOW = code(24)
export const IOCTL_SERIAL_SET_HANDFLOW = code(25)
export const IOCTL_SERIAL_GET_MODEMSTATUS = code(26)
export const IOCTL_SERIAL_GET_COMMSTATUS = code(27)
export const IOCTL_SERIAL_XOFF_COUNTER = code(28)
export const IOCTL_SERIAL_GET_PROPERTIES = code(29)
export const IOCTL_SERIAL_GET_DTRRTS = code(30)
export const IOCTL_SERIAL_CONFIG_SIZE = code(32)
export const IOCTL_SERIAL_GET_STATS = code(35)
export const IOCTL_SERIAL_CLEAR_STATS = code(36)
export const IOCTL_SERIAL_GET_MODEM_CONTROL = code(37)
export const IOCTL_SERIAL_SET_MODEM_CONTROL = code(38)

// Events of a wait mask.
export const SERIAL_EV_RXCHAR = 0x0001
export const SERIAL_EV_RXFLAG = 0x0002
export const SERIAL_EV_TXEMPTY = 0x0004
export const SERIAL_EV_CTS = 0x0008
export const SERIAL_EV_DSR = 0x0010
export const SERIAL_EV_RLSD = 0x0020
export const SERIAL_EV_BREAK = 0x0040
export const SERIAL_EV_ERR = 0x0080
export const SERIAL_EV_RING = 0x0100
export const SERIAL_EV_PERR = 0x0200
export const SERIAL_EV_RX80FULL = 0x0400
export const SERIAL_EV_EVENT1 = 0x0800
export const SERIAL_EV_EVENT2 = 0x1000
export const SERIAL_EV_ALL = 0x1fff

export const SERIAL_PURGE_TXABORT = 0x1
export const SERIAL_PURGE_RXABORT = 0x2
export const SERIAL_PURGE_TXCLEAR = 0x4
export const SERIAL_PURGE_RXCLEAR = 0x8

// SERIAL_LINE_CONTROL.
export const STOP_BIT_1 = 0
export const STOP_BITS_1_5 = 1
export const STOP_BITS_2 = 2
export const NO_PARITY = 0
export const ODD_PARITY = 1
export const EVEN_PARITY = 2
export const MARK_PARITY = 3
export const SPACE_PARITY = 4

// IOCTL_SERIAL_GET_DTRRTS, and the modem control register.
export const SERIAL_DTR_STATE = 0x1
export const SERIAL_RTS_STATE = 0x2

// IOCTL_SERIAL_GET_MODEMSTATUS: what changed since it was told last, and levels.
export const SERIAL_MSR_DCTS = 0x01
export const SERIAL_MSR_DDSR = 0x02
export const SERIAL_MSR_TERI = 0x04
export const SERIAL_MSR_DDCD = 0x08
export const SERIAL_MSR_CTS = 0x10
export const SERIAL_MSR_DSR = 0x20
export const SERIAL_MSR_RI = 0x40
export const SERIAL_MSR_DCD = 0x80

// SERIAL_HANDFLOW.ControlHandShake.
export const SERIAL_DTR_MASK = 0x03
export const SERIAL_DTR_CONTROL = 0x01
export const SERIAL_DTR_HANDSHAKE = 0x02
export const SERIAL_CTS_HANDSHAKE = 0x08
export const SERIAL_DSR_HANDSHAKE = 0x10
export const SERIAL_DCD_HANDSHAKE = 0x20
export const SERIAL_OUT_HANDSHAKEMASK = 0x38
export const SERIAL_DSR_SENSITIVITY = 0x40
export const SERIAL_ERROR_ABORT = 0x8000_0000
export const SERIAL_CONTROL_INVALID = 0x7fff_ff84

// SERIAL_HANDFLOW.FlowReplace.
export const SERIAL_AUTO_TRANSMIT = 0x01
export const SERIAL_AUTO_RECEIVE = 0x02
export const SERIAL_ERROR_CHAR = 0x04
export const SERIAL_NULL_STRIPPING = 0x08
export const SERIAL_BREAK_CHAR = 0x10
export const SERIAL_RTS_MASK = 0xc0
export const SERIAL_RTS_CONTROL = 0x40
export const SERIAL_RTS_HANDSHAKE = 0x80
export const SERIAL_TRANSMIT_TOGGLE = 0xc0
export const SERIAL_XOFF_CONTINUE = 0x8000_0000
export const SERIAL_FLOW_INVALID = 0x7fff_ff20

// SERIAL_STATUS.Errors.
export const SERIAL_ERROR_BREAK = 0x01
export const SERIAL_ERROR_FRAMING = 0x02
export const SERIAL_ERROR_OVERRUN = 0x04
export const SERIAL_ERROR_QUEUEOVERRUN = 0x08
export const SERIAL_ERROR_PARITY = 0x10

// SERIAL_STATUS.HoldReasons.
export const SERIAL_TX_WAITING_FOR_CTS = 0x01
export const SERIAL_TX_WAITING_FOR_DSR = 0x02
export const SERIAL_TX_WAITING_FOR_DCD = 0x04
export const SERIAL_TX_WAITING_FOR_XON = 0x08
export const SERIAL_TX_WAITING_XOFF_SENT = 0x10
export const SERIAL_TX_WAITING_ON_BREAK = 0x20
export const SERIAL_RX_WAITING_FOR_DSR = 0x40

/** A time-out that is none, or that means: at once. */
export const MAXULONG = 0xffff_ffff

export const SERIAL_BAUD_RATE = struct('SERIAL_BAUD_RATE', { BaudRate: ULONG })
export const SERIAL_LINE_CONTROL = struct('SERIAL_LINE_CONTROL', { StopBits: UCHAR, Parity: UCHAR, WordLength: UCHAR })
/** Milliseconds. */
export const SERIAL_TIMEOUTS = struct('SERIAL_TIMEOUTS', {
  ReadIntervalTimeout: ULONG,
  ReadTotalTimeoutMultiplier: ULONG,
  ReadTotalTimeoutConstant: ULONG,
  WriteTotalTimeoutMultiplier: ULONG,
  WriteTotalTimeoutConstant: ULONG,
})
export type SERIAL_TIMEOUTS = InstanceType<typeof SERIAL_TIMEOUTS>
export const SERIAL_QUEUE_SIZE = struct('SERIAL_QUEUE_SIZE', { InSize: ULONG, OutSize: ULONG })
export const SERIAL_CHARS = struct('SERIAL_CHARS', {
  EofChar: UCHAR,
  ErrorChar: UCHAR,
  BreakChar: UCHAR,
  EventChar: UCHAR,
  XonChar: UCHAR,
  XoffChar: UCHAR,
})
export const SERIAL_HANDFLOW = struct('SERIAL_HANDFLOW', {
  ControlHandShake: ULONG,
  FlowReplace: ULONG,
  XonLimit: LONG,
  XoffLimit: LONG,
})
export const SERIAL_STATUS = struct('SERIAL_STATUS', {
  Errors: ULONG,
  HoldReasons: ULONG,
  AmountInInQueue: ULONG,
  AmountInOutQueue: ULONG,
  EofReceived: BOOLEAN,
  WaitForImmediate: BOOLEAN,
})
export const SERIALPERF_STATS = struct('SERIALPERF_STATS', {
  ReceivedCount: ULONG,
  TransmittedCount: ULONG,
  FrameErrorCount: ULONG,
  SerialOverrunErrorCount: ULONG,
  BufferOverrunErrorCount: ULONG,
  ParityErrorCount: ULONG,
})
export const SERIAL_COMMPROP = struct('SERIAL_COMMPROP', {
  PacketLength: USHORT,
  PacketVersion: USHORT,
  ServiceMask: ULONG,
  Reserved1: ULONG,
  MaxTxQueue: ULONG,
  MaxRxQueue: ULONG,
  MaxBaud: ULONG,
  ProvSubType: ULONG,
  ProvCapabilities: ULONG,
  SettableParams: ULONG,
  SettableBaud: ULONG,
  SettableData: USHORT,
  SettableStopParity: USHORT,
  CurrentTxQueue: ULONG,
  CurrentRxQueue: ULONG,
  ProvSpec1: ULONG,
  ProvSpec2: ULONG,
  ProvChar: array(WCHAR, 1),
})

// SERIAL_COMMPROP.
export const SERIAL_SP_SERIALCOMM = 0x1
export const SERIAL_SP_RS232 = 0x1
export const SERIAL_BAUD_USER = 0x1000_0000
export const SERIAL_PCF_DTRDSR = 0x0001
export const SERIAL_PCF_RTSCTS = 0x0002
export const SERIAL_PCF_CD = 0x0004
export const SERIAL_PCF_XONXOFF = 0x0010
export const SERIAL_PCF_SETXCHAR = 0x0020
export const SERIAL_PCF_TOTALTIMEOUTS = 0x0040
export const SERIAL_PCF_INTTIMEOUTS = 0x0080
export const SERIAL_PCF_SPECIALCHARS = 0x0100
export const SERIAL_SP_PARITY = 0x01
export const SERIAL_SP_BAUD = 0x02
export const SERIAL_SP_DATABITS = 0x04
export const SERIAL_SP_STOPBITS = 0x08
export const SERIAL_SP_HANDSHAKING = 0x10
export const SERIAL_DATABITS_5 = 0x01
export const SERIAL_DATABITS_6 = 0x02
export const SERIAL_DATABITS_7 = 0x04
export const SERIAL_DATABITS_8 = 0x08
export const SERIAL_STOPBITS_10 = 0x01
export const SERIAL_STOPBITS_20 = 0x04
export const SERIAL_PARITY_NONE = 0x0100
export const SERIAL_PARITY_ODD = 0x0200
export const SERIAL_PARITY_EVEN = 0x0400
export const SERIAL_PARITY_MARK = 0x0800
export const SERIAL_PARITY_SPACE = 0x1000
