/** The receive buffer: ISRs put bytes there, reads take them, and flow control looks how full it is. */
import { Uart, UartModemControl } from 'dirql/uart'
import { READ_REGISTER_BUFFER_UCHAR, READ_REGISTER_UCHAR, RtlCopyMemory, WRITE_REGISTER_ULONG } from 'dirql/wdm'
import { BYTES } from '../lib/irp.ts'
import { levelAt } from '../lib/window.ts'
import {
  SERIAL_AUTO_RECEIVE,
  SERIAL_AUTO_TRANSMIT,
  SERIAL_DTR_HANDSHAKE,
  SERIAL_DTR_MASK,
  SERIAL_EV_RX80FULL,
  SERIAL_EV_RXCHAR,
  SERIAL_EV_RXFLAG,
  SERIAL_NULL_STRIPPING,
  SERIAL_RTS_HANDSHAKE,
  SERIAL_RTS_MASK,
} from './ntddser.ts'
import { type PORT, withInterrupts } from './port.ts'

/** Remembers what happened, where somebody wants to know. Interrupt spin lock held. */
export function happened(port: PORT, events: number): void {
  port.History |= events & port.WaitMask
}

const inRing = ({ Put, Taken }: PORT): number => (Put - Taken) >>> 0

/**
 * Takes bytes over from the port, as long as there is room; what has none stays there, and the sender waits. A port that
 * nobody has open listens to nobody. Interrupt spin lock held.
 */
export function takeOver(port: PORT): void {
  const { Registers } = port
  let left = levelAt(Registers + Uart.DATA_LEVEL)
  if (port.IsListening === 0) {
    for (; left > 0; left--) READ_REGISTER_UCHAR(Registers + Uart.DATA)
    return
  }
  const before = port.Put
  const { Data } = new BYTES(port.Ring)
  if (takesAll(port)) left = takeStraight(port, left)
  for (let room = port.RingSize - inRing(port); left > 0 && room > 0; left--) {
    const byte = READ_REGISTER_UCHAR(Registers + Uart.DATA)
    port.Statistics.ReceivedCount += 1
    if (isForDriver(port, byte)) continue
    Data[port.Put % port.RingSize] = byte
    port.Put += 1
    room -= 1
    if (byte === port.Chars.EventChar) happened(port, SERIAL_EV_RXFLAG)
  }
  if (port.Put === before) return
  happened(port, SERIAL_EV_RXCHAR)
  if (inRing(port) >= port.RingSize * 0.8) happened(port, SERIAL_EV_RX80FULL)
}

/** Whether no byte needs a look of its own. */
const takesAll = ({ HandFlow, WaitMask }: PORT): boolean =>
  (HandFlow.FlowReplace & (SERIAL_NULL_STRIPPING | SERIAL_AUTO_TRANSMIT)) === 0 && (WaitMask & SERIAL_EV_RXFLAG) === 0

/** Moves bytes of the port's into the ring, as many as have room; gives back how many of `left` are left. */
function takeStraight(port: PORT, left: number): number {
  for (;;) {
    const first = port.Put % port.RingSize
    const count = Math.min(left, port.RingSize - inRing(port), port.RingSize - first)
    if (count === 0) return left
    READ_REGISTER_BUFFER_UCHAR(port.Registers + Uart.DATA, port.Ring + first, count)
    port.Statistics.ReceivedCount += count
    port.Put += count
    left -= count
  }
}

/** Flow control, and zeroes that nobody wants, do not reach a reader. */
function isForDriver(port: PORT, byte: number): boolean {
  const { FlowReplace } = port.HandFlow
  if ((FlowReplace & SERIAL_NULL_STRIPPING) !== 0 && byte === 0) return true
  if ((FlowReplace & SERIAL_AUTO_TRANSMIT) === 0) return false
  const { XonChar, XoffChar } = port.Chars
  if (byte !== XonChar && byte !== XoffChar) return false
  port.IsXoffReceived = byte === XoffChar ? 1 : 0
  return true
}

/** Moves up to `length` bytes to `address`, and gives back how many. Lock held. */
export function takeBytes(port: PORT, address: number, length: number): number {
  return withInterrupts(port, () => {
    let done = 0
    // What the ring had no room for comes after it.
    for (let count = copyOut(port, address, length); count > 0; count = copyOut(port, address + done, length - done)) {
      done += count
      takeOver(port)
    }
    return done
  })
}

/** As far as the ring goes on without a turn. */
function copyOut(port: PORT, address: number, length: number): number {
  const first = port.Taken % port.RingSize
  const count = Math.min(inRing(port), length, port.RingSize - first)
  if (count > 0) RtlCopyMemory(address, port.Ring + first, count)
  port.Taken += count
  return count
}

/** Bytes that can be read. Lock held. */
export const received = (port: PORT): number =>
  withInterrupts(port, () => inRing(port) + levelAt(port.Registers + Uart.DATA_LEVEL))

/** Forgets all that was received. Lock held. */
export function forgetReceived(port: PORT): void {
  withInterrupts(port, () => {
    for (let left = levelAt(port.Registers + Uart.DATA_LEVEL); left > 0; left--) {
      READ_REGISTER_UCHAR(port.Registers + Uart.DATA)
    }
    port.Taken = port.Put
  })
}

/** Has the buffer at `ring`, of `size` bytes, which is more than there was. Gives back the one before. Lock held. */
export function replaceRing(port: PORT, ring: number, size: number): number {
  return withInterrupts(port, () => {
    const before = port.Ring
    let count = 0
    for (let part = copyOut(port, ring, size); part > 0; part = copyOut(port, ring + count, size - count)) count += part
    port.Ring = ring
    port.RingSize = size
    port.Taken = 0
    port.Put = count
    takeOver(port)
    return before
  })
}

/** Tells the sender to wait when the buffer is nearly full, and to go on when it is nearly empty. Lock held. */
export function regulate(port: PORT): void {
  const { count, limits } = withInterrupts(port, () => {
    const { XonLimit, XoffLimit, ControlHandShake, FlowReplace } = port.HandFlow
    return { count: inRing(port), limits: { XonLimit, XoffLimit, ControlHandShake, FlowReplace } }
  })
  const isTight = port.RingSize - count <= limits.XoffLimit
  if (port.IsHeld === 0 && isTight) hold(port, limits, true)
  else if (port.IsHeld !== 0 && count <= limits.XonLimit) hold(port, limits, false)
}

interface Flow {
  ControlHandShake: number
  FlowReplace: number
}

function hold(port: PORT, { ControlHandShake, FlowReplace }: Flow, isHeld: boolean): void {
  port.IsHeld = isHeld ? 1 : 0
  let lines = 0
  if ((ControlHandShake & SERIAL_DTR_MASK) === SERIAL_DTR_HANDSHAKE) lines |= UartModemControl.DTR
  if ((FlowReplace & SERIAL_RTS_MASK) === SERIAL_RTS_HANDSHAKE) lines |= UartModemControl.RTS
  if (lines !== 0) setModemControl(port, isHeld ? port.ModemControl & ~lines : port.ModemControl | lines)
  if ((FlowReplace & SERIAL_AUTO_RECEIVE) === 0) return
  const { XonChar, XoffChar } = port.Chars
  port.PendingChar = (isHeld ? XoffChar : XonChar) + 1
}

/** Lock held. */
export function setModemControl(port: PORT, value: number): void {
  if (port.ModemControl === value) return
  port.ModemControl = value
  WRITE_REGISTER_ULONG(port.Registers + Uart.MODEM_CONTROL, value)
}
