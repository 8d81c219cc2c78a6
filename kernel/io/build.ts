/** IRPs that the I/O manager makes for a driver: threaded ones, which it frees, and asynchronous ones, which it does not. */
import { mem } from '../mm/memory.ts'
import { read32, read8, write32, write8 } from '../mm/access.ts'
import { allocate, free } from '../mm/pool.ts'
import { initializeEvent, NotificationEvent, setEvent } from '../ke/event.ts'
import { kernelRoutine, routineId } from '../ke/image.ts'
import { KEVENT } from '../ke/layouts.ts'
import { APC_LEVEL, DISPATCH_LEVEL, enter } from '../ke/level.ts'
import { currentThread } from '../ke/thread.ts'
import { waitForObject } from '../ke/wait.ts'
import { type NTSTATUS, STATUS_MORE_PROCESSING_REQUIRED, STATUS_NOT_SUPPORTED, STATUS_PENDING } from '../rtl/status.ts'
import { callDriver, type DispatchResult } from './call.ts'
import {
  DO_BUFFERED_IO,
  DO_DIRECT_IO,
  IoReadAccess,
  IoWriteAccess,
  IRP_ASSOCIATED_IRP,
  IRP_BUFFERED_IO,
  IRP_DEALLOCATE_BUFFER,
  IRP_INPUT_OPERATION,
  IRP_MJ_DEVICE_CONTROL,
  IRP_MJ_INTERNAL_DEVICE_CONTROL,
  IRP_MJ_PNP,
  IRP_MJ_READ,
  IRP_MJ_WRITE,
  METHOD_BUFFERED,
  METHOD_FROM_CTL_CODE,
  METHOD_IN_DIRECT,
  METHOD_NEITHER,
} from './codes.ts'
import {
  allocateIrp,
  copyStackToNext,
  currentLocation,
  freeIrp,
  nextStack,
  queueToThread,
  setCompletion,
} from './irp.ts'
import { DEVICE_OBJECT, IO_STACK_LOCATION, type IO_STATUS_BLOCK, IRP, Irp, Stack } from './layouts.ts'
import { addressOf, allocateMdl, type Buffer, freeMdls, lockPages } from './mdl.ts'
import { Parameters } from './parameters.ts'

const { Flags, StackSize } = DEVICE_OBJECT.offsets

/** Allocates an IRP for the stack below `device`; 0 when there is no memory. */
export function irpFor(device: number): number {
  return allocateIrp(mem.i8[device + StackSize] as number)
}

/** Takes back an IRP that was never sent, with its buffers. */
export function discardIrp(irp: number): void {
  freeSystemBuffer(irp)
  freeMdls(irp)
  freeIrp(irp)
}

export function freeSystemBuffer(irp: number): void {
  const buffer = read32(irp + Irp.AssociatedIrp)
  if ((read32(irp + Irp.Flags) & IRP_DEALLOCATE_BUFFER) !== 0 && buffer !== 0) free(buffer, 'IoSb')
  write32(irp + Irp.AssociatedIrp, 0)
}

/** Allocates the system buffer of a buffered request and fills it with what goes in; false when there is no memory. */
export function makeSystemBuffer(irp: number, size: number, input: number, inputLength: number): boolean {
  if (size === 0) return true
  const buffer = allocate(size, 'IoSb')
  if (buffer === 0) return false
  mem.u8.copyWithin(buffer, input, input + inputLength)
  write32(irp + Irp.AssociatedIrp, buffer)
  write32(irp + Irp.Flags, read32(irp + Irp.Flags) | IRP_BUFFERED_IO | IRP_DEALLOCATE_BUFFER)
  return true
}

/** Describes a buffer that the device is to access itself; false when there is no memory. */
export function makeMdl(irp: number, address: number, length: number, operation: number): boolean {
  if (length === 0) return true
  const mdl = allocateMdl(address, length)
  if (mdl === 0) return false
  write32(irp + Irp.MdlAddress, mdl)
  return lockPages(mdl, operation)
}

/** Gives an IRP the buffers of a read or write, as the device's flags ask. */
export function setTransferBuffers(
  irp: number,
  device: number,
  major: number,
  buffer: number,
  length: number,
): boolean {
  const how = read32(device + Flags)
  write32(irp + Irp.UserBuffer, buffer)
  if ((how & DO_BUFFERED_IO) !== 0) {
    if (major === IRP_MJ_READ) write32(irp + Irp.Flags, IRP_INPUT_OPERATION)
    return makeSystemBuffer(irp, length, buffer, major === IRP_MJ_WRITE ? length : 0)
  }
  if ((how & DO_DIRECT_IO) !== 0)
    return makeMdl(irp, buffer, length, major === IRP_MJ_READ ? IoWriteAccess : IoReadAccess)
  return true
}

interface ControlBuffers {
  code: number
  input: number
  inputLength: number
  output: number
  outputLength: number
}

/** Gives an IRP the buffers of a control code, as its method asks (wdm-facts §14.8). */
export function setControlBuffers(irp: number, control: ControlBuffers): boolean {
  const { code, input, inputLength, output, outputLength } = control
  const method = METHOD_FROM_CTL_CODE(code)
  write32(irp + Irp.UserBuffer, output)
  if (method === METHOD_NEITHER) return true
  if (method === METHOD_BUFFERED) {
    if (outputLength !== 0) write32(irp + Irp.Flags, IRP_INPUT_OPERATION)
    return makeSystemBuffer(irp, Math.max(inputLength, outputLength), input, inputLength)
  }
  if (!makeSystemBuffer(irp, inputLength, input, inputLength)) return false
  return makeMdl(irp, output, outputLength, method === METHOD_IN_DIRECT ? IoReadAccess : IoWriteAccess)
}

/** Writes a control request into the first location. */
export function setControlStack(irp: number, major: number, control: ControlBuffers): void {
  const stack = nextStack(irp)
  const parameters = stack + Stack.Parameters
  write8(stack + Stack.MajorFunction, major)
  write32(parameters + Parameters.DeviceIoControl.IoControlCode, control.code)
  write32(parameters + Parameters.DeviceIoControl.InputBufferLength, control.inputLength)
  write32(parameters + Parameters.DeviceIoControl.OutputBufferLength, control.outputLength)
  if (METHOD_FROM_CTL_CODE(control.code) === METHOD_NEITHER) {
    write32(parameters + Parameters.DeviceIoControl.Type3InputBuffer, control.input)
  }
}

/** Writes a read or write into the first location. */
export function setTransferStack(irp: number, major: number, length: number, offset: bigint): void {
  const stack = nextStack(irp)
  write8(stack + Stack.MajorFunction, major)
  if (major !== IRP_MJ_READ && major !== IRP_MJ_WRITE) return
  const transfer = new IO_STACK_LOCATION(stack).Parameters.Read
  transfer.Length = length
  transfer.ByteOffset = offset
}

interface FsdRequest {
  MajorFunction: number
  DeviceObject: DEVICE_OBJECT
  Buffer: Buffer
  Length: number
  StartingOffset: bigint | number | null
  IoStatusBlock: IO_STATUS_BLOCK | null
}

function buildFsd(request: FsdRequest): number {
  const { MajorFunction, DeviceObject, Length, StartingOffset } = request
  const device = DeviceObject.address
  const irp = irpFor(device)
  if (irp === 0) return 0
  setTransferStack(irp, MajorFunction, Length, BigInt(StartingOffset ?? 0))
  const moves = MajorFunction === IRP_MJ_READ || MajorFunction === IRP_MJ_WRITE
  if (moves && !setTransferBuffers(irp, device, MajorFunction, addressOf(request.Buffer), Length)) {
    discardIrp(irp)
    return 0
  }
  if (MajorFunction === IRP_MJ_PNP) write32(irp + Irp.Status, STATUS_NOT_SUPPORTED)
  write32(irp + Irp.UserIosb, addressOf(request.IoStatusBlock))
  return irp
}

/**
 * Makes an IRP for IRP_MJ_READ, WRITE, FLUSH_BUFFERS, SHUTDOWN or PNP that the caller waits for: call IoCallDriver, on
 * STATUS_PENDING wait for `Event`. The I/O manager frees it, and cancels it if the thread ends.
 *
 * @irql <= APC_LEVEL
 * @returns the IRP; null when there is no memory
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-iobuildsynchronousfsdrequest
 */
export function IoBuildSynchronousFsdRequest(request: {
  MajorFunction: number
  DeviceObject: DEVICE_OBJECT
  Buffer: Buffer
  Length: number
  StartingOffset: bigint | number | null
  Event: KEVENT
  IoStatusBlock: IO_STATUS_BLOCK
}): IRP | null {
  enter(APC_LEVEL, 'IoBuildSynchronousFsdRequest')
  const irp = buildFsd(request)
  if (irp === 0) return null
  write32(irp + Irp.UserEvent, request.Event.address)
  queueToThread(irp)
  return new IRP(irp)
}

/**
 * Makes an IRP that belongs to no thread: its completion routine frees it, and what hangs on it, and returns
 * STATUS_MORE_PROCESSING_REQUIRED.
 *
 * @irql <= APC_LEVEL
 * @returns the IRP; null when there is no memory
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-iobuildasynchronousfsdrequest
 */
export function IoBuildAsynchronousFsdRequest(request: FsdRequest): IRP | null {
  enter(APC_LEVEL, 'IoBuildAsynchronousFsdRequest')
  const irp = buildFsd(request)
  if (irp === 0) return null
  write32(irp + Irp.Thread, currentThread())
  return new IRP(irp)
}

interface ControlRequest {
  IoControlCode: number
  DeviceObject: DEVICE_OBJECT
  InputBuffer: Buffer
  InputBufferLength: number
  OutputBuffer: Buffer
  OutputBufferLength: number
  InternalDeviceIoControl: boolean
  Event: KEVENT | null
  IoStatusBlock: IO_STATUS_BLOCK
}

/**
 * Makes an IRP for a control code that the caller waits for; otherwise as IoBuildSynchronousFsdRequest.
 *
 * A request that fails without having been pending sets neither `Event` nor `IoStatusBlock`: look at what IoCallDriver
 * returned first.
 *
 * @irql <= APC_LEVEL
 * @returns the IRP; null when there is no memory
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-iobuilddeviceiocontrolrequest
 */
export function IoBuildDeviceIoControlRequest(request: ControlRequest): IRP | null {
  enter(APC_LEVEL, 'IoBuildDeviceIoControlRequest')
  const irp = irpFor(request.DeviceObject.address)
  if (irp === 0) return null
  const control = {
    code: request.IoControlCode,
    input: addressOf(request.InputBuffer),
    inputLength: request.InputBufferLength,
    output: addressOf(request.OutputBuffer),
    outputLength: request.OutputBufferLength,
  }
  if (!setControlBuffers(irp, control)) {
    discardIrp(irp)
    return null
  }
  setControlStack(
    irp,
    request.InternalDeviceIoControl ? IRP_MJ_INTERNAL_DEVICE_CONTROL : IRP_MJ_DEVICE_CONTROL,
    control,
  )
  write32(irp + Irp.UserIosb, request.IoStatusBlock.address)
  write32(irp + Irp.UserEvent, addressOf(request.Event))
  queueToThread(irp)
  return new IRP(irp)
}

/**
 * Makes an IRP for a part of the work of `Irp`, whose AssociatedIrp.IrpCount the caller sets to the number of parts.
 * When the last part is completed, `Irp` is.
 *
 * @irql <= DISPATCH_LEVEL
 * @returns the IRP; null when there is no memory
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/ntddk/nf-ntddk-iomakeassociatedirp
 */
export function IoMakeAssociatedIrp(Irp_: IRP, StackSize_: number): IRP | null {
  enter(DISPATCH_LEVEL, 'IoMakeAssociatedIrp')
  const irp = allocateIrp(StackSize_)
  if (irp === 0) return null
  write32(irp + Irp.Flags, IRP_ASSOCIATED_IRP)
  write32(irp + Irp.AssociatedIrp, Irp_.address)
  write32(irp + Irp.Thread, read32(Irp_.address + Irp.Thread))
  return new IRP(irp)
}

/** Wakes who forwarded the IRP; the IRP stays theirs. */
const forwarded = kernelRoutine((_device: DEVICE_OBJECT | null, irp: IRP, event: number): NTSTATUS => {
  if (read8(irp.address + Irp.PendingReturned) !== 0) setEvent(event)
  return STATUS_MORE_PROCESSING_REQUIRED
})

/**
 * Sends a copy of the caller's request to the driver below and waits until that has completed it. The IRP is then the
 * caller's again, with the result in IoStatus.
 *
 * @irql <= APC_LEVEL
 * @returns FALSE when there is no stack location left, or no memory to wait with: nothing was sent then; else TRUE
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-ioforwardirpsynchronously
 */
export function IoForwardIrpSynchronously(DeviceObject: DEVICE_OBJECT, Irp_: IRP): boolean | Promise<boolean> {
  enter(APC_LEVEL, 'IoForwardIrpSynchronously')
  const irp = Irp_.address
  if (currentLocation(irp) <= 1) return false
  const event = allocate(KEVENT.size, 'IoFw')
  if (event === 0) return false
  initializeEvent(event, NotificationEvent, false)
  copyStackToNext(irp)
  setCompletion(irp, routineId(forwarded), event)
  return waitForwarded(callDriver(DeviceObject.address, irp), event)
}

function waitForwarded(result: DispatchResult, event: number): boolean | Promise<boolean> {
  if (typeof result === 'number' && result !== STATUS_PENDING) {
    free(event, 'IoFw')
    return true
  }
  return waitLonger(result, event)
}

async function waitLonger(result: DispatchResult, event: number): Promise<boolean> {
  if ((await result) === STATUS_PENDING) await waitForObject(event)
  free(event, 'IoFw')
  return true
}
