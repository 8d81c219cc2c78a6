/**
 * Device registers: READ_REGISTER_… and WRITE_REGISTER_… on addresses in a device's window.
 *
 * A register has four bytes; the narrower forms read its low bits, and write 0 above them. A read gives the shadow
 * and never blocks; a write is posted into the board's ring, in order. A window whose board is gone reads all ones,
 * as a bus does that nobody drives, and counts the writes that it drops.
 */
import {
  atomicAdd,
  atomicCompareExchange,
  atomicLoad,
  read32,
  read8,
  readU32,
  write16,
  write32,
  write8,
  zero,
} from '../mm/access.ts'
import { mem } from '../mm/memory.ts'
import { Fifo, Post, RegisterKind, Window, WINDOW_MAGIC, windowOf, WindowState } from '../ports/device.ts'
import { type NTSTATUS, STATUS_NO_SUCH_DEVICE, STATUS_SUCCESS } from '../rtl/status.ts'
import { BugCode } from './bugcodes.ts'
import { bugCheck } from './bugcheck.ts'
import { REGISTER_BYTES } from './iospace.ts'
import { enter, type Out, PASSIVE_LEVEL, point } from './level.ts'
import { cpu } from './pcr.ts'
import { askBoard } from './replies.ts'
import { post } from './wire.ts'

/** Memory that a buffer form copies to or from. */
export type RegisterBuffer = number | { readonly address: number }
const addressOf = (buffer: RegisterBuffer): number => (typeof buffer === 'number' ? buffer : buffer.address)

const kindOf = (window: number, register: number): number => read8(window + Window.Kinds + ((register - window) >> 2))

/** The window that `register` lies in. An address in no window is a bug check, as the page fault on Windows is. */
function windowAt(register: number, isWrite: boolean): number {
  const window = windowOf(register)
  if (read32(window + Window.Magic) !== WINDOW_MAGIC || register - window >= REGISTER_BYTES) noWindow(register, isWrite)
  if (cpu.checked && (register & 3) !== 0) unaligned(register, isWrite)
  if (cpu.checked && atomicLoad(window + Window.Maps) === 0) notMapped(register, isWrite)
  return window
}

/** The register at `register`, as an unsigned number. */
function readRegister(register: number): number {
  const window = windowAt(register, false)
  if (read32(window + Window.State) !== WindowState.Present) return 0xffffffff
  switch (kindOf(window, register)) {
    case RegisterKind.Fifo:
      return takeFromFifo(window, register)
    case RegisterKind.Level:
      return levelOf(read32(register))
    case RegisterKind.None:
      return noRegister(register, false)
    default:
      return readU32(register)
  }
}

/** The next entry of a FIFO, 0 when it is empty. Two processors that read at once get two entries. */
function takeFromFifo(window: number, register: number): number {
  const fifo = read32(register)
  if (fifo === 0) return 0
  for (;;) {
    const taken = atomicLoad(fifo + Fifo.Taken)
    if (taken === atomicLoad(fifo + Fifo.Put)) return 0
    const slot = taken & (read32(fifo + Fifo.Room) - 1)
    const entries = fifo + Fifo.Entries
    const entry = read32(fifo + Fifo.Width) === 1 ? read8(entries + slot) : readU32(entries + slot * 4)
    if (atomicCompareExchange(fifo + Fifo.Taken, taken, (taken + 1) | 0) !== taken) continue
    giveCredit(window, register, fifo, (taken + 1) | 0)
    return entry
  }
}

/** Takes entries of a FIFO of bytes to `to`: as many as lie there without a turn, at most `count` or a quarter of it. */
function takeBytes(window: number, register: number, fifo: number, to: number, count: number): number {
  for (;;) {
    const taken = atomicLoad(fifo + Fifo.Taken)
    const level = (atomicLoad(fifo + Fifo.Put) - taken) | 0
    const room = read32(fifo + Fifo.Room)
    const slot = taken & (room - 1)
    const part = Math.min(count, level, room - slot, Math.max(room >> 2, 1))
    if (part === 0) return 0
    const from = fifo + Fifo.Entries + slot
    mem.u8.copyWithin(to, from, from + part)
    if (atomicCompareExchange(fifo + Fifo.Taken, taken, (taken + part) | 0) !== taken) continue
    giveCredit(window, register, fifo, (taken + part) | 0)
    return part
  }
}

/** The address of the FIFO of bytes that `register` reads; 0 when it is something else. */
function byteFifoOf(window: number, register: number): number {
  if (read32(window + Window.State) !== WindowState.Present) return 0
  const fifo = kindOf(window, register) === RegisterKind.Fifo ? read32(register) : 0
  return fifo !== 0 && read32(fifo + Fifo.Width) === 1 ? fifo : 0
}

/**
 * Tells the board of room, a quarter of the FIFO at a time. An empty FIFO owes less than that, so its board has credit
 * and does not wait for ever.
 */
function giveCredit(window: number, register: number, fifo: number, taken: number): void {
  const credited = atomicLoad(fifo + Fifo.Credited)
  const owed = (taken - credited) | 0
  if (owed * 4 < read32(fifo + Fifo.Room)) return
  // Another taker that was quicker has told of these entries as well.
  if (atomicCompareExchange(fifo + Fifo.Credited, credited, taken) !== credited) return
  post(read32(window + Window.Ring), Post.Credit, read32(window + Window.Device), register - window, owed)
}

const levelOf = (fifo: number): number =>
  fifo === 0 ? 0 : (atomicLoad(fifo + Fifo.Put) - atomicLoad(fifo + Fifo.Taken)) >>> 0

function writeRegister(register: number, value: number): void {
  const window = windowAt(register, true)
  if (read32(window + Window.State) !== WindowState.Present) {
    atomicAdd(window + Window.DroppedWrites, 1)
    return
  }
  switch (kindOf(window, register)) {
    case RegisterKind.Control:
      write32(register, value)
      break
    case RegisterKind.Status:
    case RegisterKind.Count:
    case RegisterKind.Level:
      readOnly(register, window)
      return
    case RegisterKind.None:
      noRegister(register, true)
      return
    default:
      break // each write to a command or a FIFO is an action: there is nothing to remember
  }
  post(read32(window + Window.Ring), Post.Write, read32(window + Window.Device), register - window, value)
}

/** The address that entry `index` of a buffer form goes to: a FIFO register takes or gives the whole buffer. */
function registerOf(first: number, index: number): number {
  const isFifo = kindOf(windowAt(first, false), first) === RegisterKind.Fifo
  return isFifo ? first : first + index * 4
}

/**
 * Reads the low 8 bits of a register.
 *
 * @irql any
 * @returns the bits; 0xFF when the board is gone; the next byte of a FIFO register, 0 when it is empty
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-read_register_uchar
 */
export function READ_REGISTER_UCHAR(Register: number): number {
  point()
  return readRegister(Register) & 0xff
}

/**
 * Reads the low 16 bits of a register.
 *
 * @irql any
 * @returns the bits; 0xFFFF when the board is gone
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-read_register_ushort
 */
export function READ_REGISTER_USHORT(Register: number): number {
  point()
  return readRegister(Register) & 0xffff
}

/**
 * Reads a register: its shadow, without asking the board (`readFresh` does).
 *
 * @irql any
 * @returns the value, unsigned; 0xFFFFFFFF when the board is gone; the next entry of a FIFO register, 0 when it is
 *   empty
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-read_register_ulong
 */
export function READ_REGISTER_ULONG(Register: number): number {
  point()
  return readRegister(Register)
}

/**
 * Writes the low 8 bits of a register, and 0 above them. Posted, as all register writes are.
 *
 * @irql any
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-write_register_uchar
 */
export function WRITE_REGISTER_UCHAR(Register: number, Value: number): void {
  point()
  writeRegister(Register, Value & 0xff)
}

/**
 * Writes the low 16 bits of a register, and 0 above them. Posted.
 *
 * @irql any
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-write_register_ushort
 */
export function WRITE_REGISTER_USHORT(Register: number, Value: number): void {
  point()
  writeRegister(Register, Value & 0xffff)
}

/**
 * Writes a register. The write is posted: it reaches the board behind those posted before, and `flush` waits for it.
 *
 * @irql any
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-write_register_ulong
 */
export function WRITE_REGISTER_ULONG(Register: number, Value: number): void {
  point()
  writeRegister(Register, Value | 0)
}

/**
 * Reads `Count` bytes into `Buffer`: from a FIFO register all of them, else from registers side by side.
 *
 * @irql any
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-read_register_buffer_uchar
 */
export function READ_REGISTER_BUFFER_UCHAR(Register: number, Buffer: RegisterBuffer, Count: number): void {
  point()
  const to = addressOf(Buffer)
  if (Count <= 0) return
  const window = windowAt(Register, false)
  const fifo = byteFifoOf(window, Register)
  if (fifo === 0) {
    for (let index = 0; index < Count; index++) write8(to + index, readRegister(registerOf(Register, index)))
    return
  }
  let done = 0
  for (let part = -1; done < Count && part !== 0; done += part) {
    part = takeBytes(window, Register, fifo, to + done, Count - done)
  }
  if (done < Count) zero(to + done, Count - done) // as reads of an empty FIFO do
}

/**
 * Reads `Count` 16-bit values into `Buffer`: from a FIFO register all of them, else from registers side by side.
 *
 * @irql any
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-read_register_buffer_ushort
 */
export function READ_REGISTER_BUFFER_USHORT(Register: number, Buffer: RegisterBuffer, Count: number): void {
  point()
  const to = addressOf(Buffer)
  for (let index = 0; index < Count; index++) write16(to + index * 2, readRegister(registerOf(Register, index)))
}

/**
 * Reads `Count` 32-bit values into `Buffer`: from a FIFO register all of them, else from registers side by side.
 *
 * @irql any
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-read_register_buffer_ulong
 */
export function READ_REGISTER_BUFFER_ULONG(Register: number, Buffer: RegisterBuffer, Count: number): void {
  point()
  const to = addressOf(Buffer)
  for (let index = 0; index < Count; index++) write32(to + index * 4, readRegister(registerOf(Register, index)))
}

/**
 * Writes `Count` bytes from `Buffer`: to a FIFO register all of them, else to registers side by side.
 *
 * @irql any
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-write_register_buffer_uchar
 */
export function WRITE_REGISTER_BUFFER_UCHAR(Register: number, Buffer: RegisterBuffer, Count: number): void {
  point()
  const from = addressOf(Buffer)
  const step = Count > 0 ? registerOf(Register, 1) - Register : 0
  for (let index = 0; index < Count; index++) writeRegister(Register + index * step, read8(from + index))
}

/**
 * Writes `Count` 32-bit values from `Buffer`: to a FIFO register all of them, else to registers side by side.
 *
 * @irql any
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-write_register_buffer_ulong
 */
export function WRITE_REGISTER_BUFFER_ULONG(Register: number, Buffer: RegisterBuffer, Count: number): void {
  point()
  const from = addressOf(Buffer)
  for (let index = 0; index < Count; index++) writeRegister(registerOf(Register, index), read32(from + index * 4))
}

/**
 * Waits until the board has acknowledged every register write that was posted to it before. Ours, not Windows': a
 * bus there flushes posted writes by a read, which cannot wait for a wire.
 *
 * @irql PASSIVE_LEVEL
 * @returns STATUS_SUCCESS; STATUS_NO_SUCH_DEVICE when the board went away first
 */
export async function flush(Register: number): Promise<NTSTATUS> {
  enter(PASSIVE_LEVEL, 'flush')
  const window = windowAt(Register, false)
  if (read32(window + Window.State) !== WindowState.Present) return STATUS_NO_SUCH_DEVICE
  const { status } = await askBoard((token) => post(read32(window + Window.Ring), Post.Flush, token, 0, 0))
  return status
}

/**
 * Asks the board what a register holds now. The shadow stays as it is: that changes with interrupts only, so that an
 * ISR's view does not change under it.
 *
 * @irql PASSIVE_LEVEL
 * @returns STATUS_SUCCESS, and the value in `Value`; STATUS_NO_SUCH_DEVICE when the board is gone
 */
export async function readFresh(Register: number, Value: Out<number>): Promise<NTSTATUS> {
  enter(PASSIVE_LEVEL, 'readFresh')
  const window = windowAt(Register, false)
  if (read32(window + Window.State) !== WindowState.Present) return STATUS_NO_SUCH_DEVICE
  const ring = read32(window + Window.Ring)
  const device = read32(window + Window.Device)
  const { status, value } = await askBoard((token) => post(ring, Post.Read, device, Register - window, token))
  if (status === STATUS_SUCCESS) Value.value = value >>> 0
  return status
}

const access = (isWrite: boolean): string => (isWrite ? 'WRITE_REGISTER' : 'READ_REGISTER')
const hex = (address: number): string => `0x${(address >>> 0).toString(16)}`

function noWindow(register: number, isWrite: boolean): never {
  return bugCheck({
    code: BugCode.PAGE_FAULT_IN_NONPAGED_AREA,
    parameters: [register, isWrite ? 1 : 0],
    message: `${access(isWrite)} was given ${hex(register)}, which is in no device's register window`,
  })
}

function unaligned(register: number, isWrite: boolean): never {
  return bugCheck({
    code: BugCode.PAGE_FAULT_IN_NONPAGED_AREA,
    parameters: [register, isWrite ? 1 : 0],
    message: `${access(isWrite)} was given ${hex(register)}, which is inside a register: registers lie four bytes apart`,
  })
}

function notMapped(register: number, isWrite: boolean): never {
  return bugCheck({
    code: BugCode.PAGE_FAULT_IN_NONPAGED_AREA,
    parameters: [register, isWrite ? 1 : 0],
    message: `${access(isWrite)} was given ${hex(register)}, which is not mapped: call MmMapIoSpace first, MmUnmapIoSpace last`,
  })
}

/** A free build does what a bus does: reads all ones, and drops the write. */
function noRegister(register: number, isWrite: boolean): number {
  if (!cpu.checked) return 0xffffffff
  return bugCheck({
    code: BugCode.PAGE_FAULT_IN_NONPAGED_AREA,
    parameters: [register, isWrite ? 1 : 0],
    message: `${access(isWrite)} was given offset ${hex(register - windowOf(register))}, where the device has no register`,
  })
}

function readOnly(register: number, window: number): void {
  atomicAdd(window + Window.DroppedWrites, 1)
  if (!cpu.checked) return
  bugCheck({
    code: BugCode.DRIVER_VIOLATION,
    parameters: [0x10, register, window],
    message: `the register at offset ${hex(register - window)} is written by the board only; the host must not write it`,
  })
}
