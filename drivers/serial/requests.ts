/** Control codes that end or make way for requests that wait. Called without the port's lock. @irql <= DISPATCH_LEVEL */
import {
  ExAllocatePool2,
  ExFreePool,
  type NTSTATUS,
  POOL_FLAG_NON_PAGED,
  STATUS_CANCELLED,
  STATUS_DEVICE_NOT_CONNECTED,
  STATUS_INSUFFICIENT_RESOURCES,
  STATUS_INVALID_PARAMETER,
  STATUS_SUCCESS,
} from 'dirql/wdm'
import { drain, serve } from '../lib/requests.ts'
import { MOST_QUEUED } from './control.ts'
import {
  SERIAL_EV_ALL,
  SERIAL_PURGE_RXABORT,
  SERIAL_PURGE_RXCLEAR,
  SERIAL_PURGE_TXABORT,
  SERIAL_PURGE_TXCLEAR,
} from './ntddser.ts'
import { type PORT, withInterrupts, withLock } from './port.ts'
import { forgetReceived, replaceRing } from './receive.ts'
import { endWait, serveAll } from './transfer.ts'

const PURGE_ALL = SERIAL_PURGE_TXABORT | SERIAL_PURGE_RXABORT | SERIAL_PURGE_TXCLEAR | SERIAL_PURGE_RXCLEAR

/** A wait for other events ends, and is told none. What has happened already, and is still wanted, is kept. */
export function setWaitMask(port: PORT, mask: number): NTSTATUS {
  if ((mask & ~SERIAL_EV_ALL) !== 0) return STATUS_INVALID_PARAMETER
  serve(port.Waits, (request) => endWait(request, 0))
  return withLock(port, () => {
    if (port.IsThere === 0) return STATUS_DEVICE_NOT_CONNECTED
    withInterrupts(port, () => {
      port.WaitMask = mask
      port.History &= mask
    })
    return STATUS_SUCCESS
  })
}

/** What the transmitter has cannot be taken back: TXCLEAR clears nothing more than TXABORT does. */
export function purge(port: PORT, what: number): NTSTATUS {
  if (what === 0 || (what & ~PURGE_ALL) !== 0) return STATUS_INVALID_PARAMETER
  if ((what & SERIAL_PURGE_TXABORT) !== 0) drain(port.Writes, STATUS_CANCELLED)
  if ((what & SERIAL_PURGE_RXABORT) !== 0) drain(port.Reads, STATUS_CANCELLED)
  const isThere = withLock(port, () => {
    if (port.IsThere === 0) return false
    if ((what & SERIAL_PURGE_RXCLEAR) !== 0) forgetReceived(port)
    return true
  })
  serveAll(port) // the sender may go on
  return isThere ? STATUS_SUCCESS : STATUS_DEVICE_NOT_CONNECTED
}

/** The receive buffer grows, and never shrinks. */
export function setQueueSize(port: PORT, size: number): NTSTATUS {
  if (size > MOST_QUEUED) return STATUS_INSUFFICIENT_RESOURCES
  const ring = ExAllocatePool2(POOL_FLAG_NON_PAGED, Math.max(size, 1), 'Comm')
  if (ring === 0) return STATUS_INSUFFICIENT_RESOURCES
  let unused = ring
  const isThere = withLock(port, () => {
    if (port.IsThere === 0) return false
    if (size > port.RingSize) unused = replaceRing(port, ring, size)
    return true
  })
  ExFreePool(unused)
  if (isThere) serveAll(port)
  return isThere ? STATUS_SUCCESS : STATUS_DEVICE_NOT_CONNECTED
}
