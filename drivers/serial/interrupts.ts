/** The ISRs of a port. All have one interrupt spin lock, which is held at the highest of their levels. */
import { Uart } from 'dirql/uart'
import { KeInsertQueueDpc, type KINTERRUPT, READ_REGISTER_ULONG } from 'dirql/wdm'
import { ALL_ONES } from '../lib/window.ts'
import {
  SERIAL_ERROR_BREAK,
  SERIAL_ERROR_FRAMING,
  SERIAL_ERROR_OVERRUN,
  SERIAL_ERROR_PARITY,
  SERIAL_EV_BREAK,
  SERIAL_EV_CTS,
  SERIAL_EV_DSR,
  SERIAL_EV_ERR,
  SERIAL_EV_RING,
  SERIAL_EV_RLSD,
  SERIAL_MSR_CTS,
  SERIAL_MSR_DCD,
  SERIAL_MSR_DCTS,
  SERIAL_MSR_DDCD,
  SERIAL_MSR_DDSR,
  SERIAL_MSR_DSR,
  SERIAL_MSR_RI,
  SERIAL_MSR_TERI,
} from './ntddser.ts'
import type { PORT } from './port.ts'
import { happened, takeOver } from './receive.ts'

/** Bytes came, or errors. @irql DIRQL, interrupt spin lock held */
export function dataIsr(_Interrupt: KINTERRUPT, port: PORT): boolean {
  const received = READ_REGISTER_ULONG(port.Registers + Uart.RECEIVED)
  if (received === ALL_ONES) return false // the board is gone
  const isNew = received !== port.Received
  port.Received = received
  const hasErrors = countErrors(port)
  if (!isNew && !hasErrors) return false
  takeOver(port)
  KeInsertQueueDpc(port.Dpc, null, null)
  return true
}

/** Whether there were any. */
function countErrors(port: PORT): boolean {
  const { Registers, Statistics } = port
  const framing = READ_REGISTER_ULONG(Registers + Uart.FRAMING_ERRORS)
  const parity = READ_REGISTER_ULONG(Registers + Uart.PARITY_ERRORS)
  const overruns = READ_REGISTER_ULONG(Registers + Uart.OVERRUNS)
  const breaks = READ_REGISTER_ULONG(Registers + Uart.BREAKS)
  let errors = 0
  if (framing !== port.FramingErrors) errors |= SERIAL_ERROR_FRAMING
  if (parity !== port.ParityErrors) errors |= SERIAL_ERROR_PARITY
  if (overruns !== port.Overruns) errors |= SERIAL_ERROR_OVERRUN
  if (breaks !== port.Breaks) errors |= SERIAL_ERROR_BREAK
  Statistics.FrameErrorCount += (framing - port.FramingErrors) >>> 0
  Statistics.ParityErrorCount += (parity - port.ParityErrors) >>> 0
  Statistics.SerialOverrunErrorCount += (overruns - port.Overruns) >>> 0
  port.FramingErrors = framing
  port.ParityErrors = parity
  port.Overruns = overruns
  port.Breaks = breaks
  port.Errors |= errors
  if ((errors & SERIAL_ERROR_BREAK) !== 0) happened(port, SERIAL_EV_BREAK)
  if ((errors & ~SERIAL_ERROR_BREAK) !== 0) happened(port, SERIAL_EV_ERR)
  return errors !== 0
}

/** The transmitter has room again. @irql DIRQL, interrupt spin lock held */
export function transmitIsr(_Interrupt: KINTERRUPT, port: PORT): boolean {
  KeInsertQueueDpc(port.Dpc, null, null) // the line is the port's own: nobody else could have caused it
  return true
}

/** A modem line, as MSR and events know it; in the order of ModemCounts. */
const MODEM = [
  { level: Uart.CTS, count: Uart.CTS_COUNT, bit: SERIAL_MSR_CTS, change: SERIAL_MSR_DCTS, event: SERIAL_EV_CTS },
  { level: Uart.DSR, count: Uart.DSR_COUNT, bit: SERIAL_MSR_DSR, change: SERIAL_MSR_DDSR, event: SERIAL_EV_DSR },
  { level: Uart.RI, count: Uart.RI_COUNT, bit: SERIAL_MSR_RI, change: SERIAL_MSR_TERI, event: SERIAL_EV_RING },
  { level: Uart.DCD, count: Uart.DCD_COUNT, bit: SERIAL_MSR_DCD, change: SERIAL_MSR_DDCD, event: SERIAL_EV_RLSD },
] as const
export const MODEM_LINES = MODEM
const RI = 2

/** @irql DIRQL, interrupt spin lock held */
export function ctsIsr(_Interrupt: KINTERRUPT, port: PORT): boolean {
  return modemChanged(port, 0)
}

/** @irql DIRQL, interrupt spin lock held */
export function dsrIsr(_Interrupt: KINTERRUPT, port: PORT): boolean {
  return modemChanged(port, 1)
}

/** @irql DIRQL, interrupt spin lock held */
export function riIsr(_Interrupt: KINTERRUPT, port: PORT): boolean {
  return modemChanged(port, RI)
}

/** @irql DIRQL, interrupt spin lock held */
export function dcdIsr(_Interrupt: KINTERRUPT, port: PORT): boolean {
  return modemChanged(port, 3)
}

function modemChanged(port: PORT, index: number): boolean {
  const { level, count, bit, change, event } = MODEM[index] as (typeof MODEM)[number]
  const edges = READ_REGISTER_ULONG(port.Registers + count)
  const more = (edges - (port.ModemCounts[index] ?? 0)) >>> 0
  if (more === 0 || edges === ALL_ONES) return false
  port.ModemCounts[index] = edges
  const isHigh = READ_REGISTER_ULONG(port.Registers + level) !== 0
  port.Modem = isHigh ? port.Modem | bit : port.Modem & ~bit
  // RI counts when it ends, as it does in the hardware: of two edges one is an end.
  if (index !== RI || !isHigh || more > 1) {
    port.Modem |= change
    happened(port, event)
  }
  KeInsertQueueDpc(port.Dpc, null, null)
  return true
}
