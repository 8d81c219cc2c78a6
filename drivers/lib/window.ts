/**
 * Registers of boards that may be pulled out at any time: until the driver hears of it, their window reads all ones, which
 * must not be taken for counts.
 */
import { UART_TRANSMIT_ROOM, uartRoom } from 'dirql/uart'
import { READ_REGISTER_ULONG } from 'dirql/wdm'

/** What a register of a board that is gone reads. A count that is this by chance is told with the next. */
export const ALL_ONES = 0xffff_ffff

/** Entries that can be read from a FIFO; 0 when the board is gone. */
export function levelAt(register: number): number {
  const level = READ_REGISTER_ULONG(register)
  return level === ALL_ONES ? 0 : level
}

/** Bytes that a transmitter takes, when `written` were ever written to it; 0 when the board is gone. */
export function roomAt(register: number, written: number): number {
  const room = uartRoom(READ_REGISTER_ULONG(register), written)
  return room > UART_TRANSMIT_ROOM ? 0 : room
}
