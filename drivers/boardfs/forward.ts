/** Requests for what belongs to another driver: sent to the top of its device's stack. */
import {
  DEVICE_OBJECT,
  DO_BUFFERED_IO,
  DO_DIRECT_IO,
  Executive,
  ExAllocatePool2,
  ExFreePool,
  FILE_GENERIC_READ,
  FILE_GENERIC_WRITE,
  type FILE_OBJECT,
  IO_NO_INCREMENT,
  IO_STATUS_BLOCK,
  IoAllocateIrp,
  IoAllocateMdl,
  IoBuildDeviceIoControlRequest,
  IoCallDriver,
  IoCancelIrp,
  IoFreeIrp,
  IoFreeMdl,
  IoGetCurrentIrpStackLocation,
  IoGetDeviceObjectPointer,
  IoGetNextIrpStackLocation,
  IoReleaseCancelSpinLock,
  IoSetCancelRoutine,
  IoSetCompletionRoutine,
  type IRP,
  IRP_MJ_WRITE,
  KernelMode,
  KeInitializeEvent,
  KeSetEvent,
  KEVENT,
  KeWaitForMultipleObjects,
  KeWaitForSingleObject,
  MmBuildMdlForNonPagedPool,
  NotificationEvent,
  NT_SUCCESS,
  type NTSTATUS,
  ObDereferenceObject,
  out,
  POOL_FLAG_NON_PAGED,
  STATUS_INSUFFICIENT_RESOURCES,
  STATUS_MORE_PROCESSING_REQUIRED,
  STATUS_PENDING,
  struct,
  WaitAny,
} from 'dirql/wdm'

const FORWARD = struct('BOARDFS_FORWARD', { Done: KEVENT, Cancelled: KEVENT, IoStatus: IO_STATUS_BLOCK })
type FORWARD = InstanceType<typeof FORWARD>

export interface Sent {
  status: NTSTATUS
  information: number
}

const failed = (status: NTSTATUS): Sent => ({ status, information: 0 })

/** Opens the device for one request. @irql PASSIVE_LEVEL */
async function onDevice(
  name: string,
  send: (device: DEVICE_OBJECT, file: FILE_OBJECT, forward: FORWARD) => Promise<Sent>,
): Promise<Sent> {
  const forward = FORWARD.at(ExAllocatePool2(POOL_FLAG_NON_PAGED, FORWARD.size, 'BfFw'))
  if (forward === null) return failed(STATUS_INSUFFICIENT_RESOURCES)
  KeInitializeEvent(forward.Done, NotificationEvent, false)
  KeInitializeEvent(forward.Cancelled, NotificationEvent, false)
  const file = out<FILE_OBJECT | null>()
  const device = out<DEVICE_OBJECT | null>()
  const status = await IoGetDeviceObjectPointer(name, FILE_GENERIC_READ | FILE_GENERIC_WRITE, file, device)
  let sent = failed(status)
  if (NT_SUCCESS(status) && file.value !== null && device.value !== null) {
    sent = await send(device.value, file.value, forward)
    ObDereferenceObject(file.value)
  }
  ExFreePool(forward)
  return sent
}

/**
 * Has another device do a read or write of ours, in the same buffer and at the same offset. A cancel goes there, too.
 *
 * @irql PASSIVE_LEVEL
 */
export function forwardTransfer(name: string, Irp: IRP): Promise<Sent> {
  return onDevice(name, async (device, file, forward) => {
    const lower = makeTransfer(device, file, Irp)
    if (lower === null) return failed(STATUS_INSUFFICIENT_RESOURCES)
    IoSetCompletionRoutine({
      Irp: lower,
      CompletionRoutine: forwarded,
      Context: forward,
      InvokeOnSuccess: true,
      InvokeOnError: true,
      InvokeOnCancel: true,
    })
    watchCancel(Irp, forward)
    await IoCallDriver(device, lower)
    await waitFor(lower, forward)
    await unwatchCancel(Irp, forward)
    const { Status, Information } = lower.IoStatus
    if (lower.MdlAddress !== null) IoFreeMdl(lower.MdlAddress)
    IoFreeIrp(lower)
    return { status: Status, information: Information }
  })
}

/** An IRP for the other device whose data lie in the system buffer of ours. */
function makeTransfer(device: DEVICE_OBJECT, file: FILE_OBJECT, Irp: IRP): IRP | null {
  const { MajorFunction, Parameters } = IoGetCurrentIrpStackLocation(Irp)
  const { Length, ByteOffset } = MajorFunction === IRP_MJ_WRITE ? Parameters.Write : Parameters.Read
  const buffer = Irp.AssociatedIrp.SystemBuffer
  const lower = IoAllocateIrp(device.StackSize, false)
  if (lower === null) return null
  if ((device.Flags & DO_BUFFERED_IO) !== 0) lower.AssociatedIrp.SystemBuffer = buffer
  else if ((device.Flags & DO_DIRECT_IO) === 0) lower.UserBuffer = buffer
  else if (Length !== 0) {
    const mdl = IoAllocateMdl(buffer, Length, false, false, lower)
    if (mdl === null) {
      IoFreeIrp(lower)
      return null
    }
    MmBuildMdlForNonPagedPool(mdl)
  }
  const stack = IoGetNextIrpStackLocation(lower)
  stack.MajorFunction = MajorFunction
  stack.FileObject = file
  const transfer = MajorFunction === IRP_MJ_WRITE ? stack.Parameters.Write : stack.Parameters.Read
  transfer.Length = Length
  transfer.ByteOffset = ByteOffset
  return lower
}

async function waitFor(lower: IRP, { Done, Cancelled }: FORWARD): Promise<void> {
  const first = await KeWaitForMultipleObjects({
    Count: 2,
    Object: [Done, Cancelled],
    WaitType: WaitAny,
    WaitReason: Executive,
    WaitMode: KernelMode,
    Alertable: false,
    Timeout: null,
    WaitBlockArray: null,
  })
  if (first === 0) return
  IoCancelIrp(lower)
  await KeWaitForSingleObject(Done, Executive, KernelMode, false, null)
}

/** The IRP stays ours. @irql <= DISPATCH_LEVEL */
export function forwarded(_DeviceObject: DEVICE_OBJECT | null, _Irp: IRP, forward: FORWARD): NTSTATUS {
  KeSetEvent(forward.Done, IO_NO_INCREMENT, false)
  return STATUS_MORE_PROCESSING_REQUIRED
}

function watchCancel(Irp: IRP, forward: FORWARD): void {
  Irp.Tail.Overlay.DriverContext.set(0, forward)
  IoSetCancelRoutine(Irp, cancelForward)
  // Cancelled before there was a routine: nobody will call it, unless it is being called just now.
  if (Irp.Cancel !== 0 && IoSetCancelRoutine(Irp, null) !== null) KeSetEvent(forward.Cancelled, IO_NO_INCREMENT, false)
}

/** Behind this the cancel routine does not touch `forward` any more. */
async function unwatchCancel(Irp: IRP, forward: FORWARD): Promise<void> {
  if (IoSetCancelRoutine(Irp, null) !== null) return
  await KeWaitForSingleObject(forward.Cancelled, Executive, KernelMode, false, null)
}

/** @irql DISPATCH_LEVEL, cancel spin lock held */
export function cancelForward(_DeviceObject: DEVICE_OBJECT, Irp: IRP): void {
  const forward = Irp.Tail.Overlay.DriverContext.at(0) as FORWARD
  IoReleaseCancelSpinLock(Irp.CancelIrql)
  KeSetEvent(forward.Cancelled, IO_NO_INCREMENT, false)
}

/** Sends a control code without output. @irql PASSIVE_LEVEL */
export async function forwardControl(name: string, code: number, input: number, length: number): Promise<NTSTATUS> {
  const { status } = await onDevice(name, async (device, file, forward) => {
    const lower = IoBuildDeviceIoControlRequest({
      IoControlCode: code,
      DeviceObject: device,
      InputBuffer: input,
      InputBufferLength: length,
      OutputBuffer: null,
      OutputBufferLength: 0,
      InternalDeviceIoControl: false,
      Event: forward.Done,
      IoStatusBlock: forward.IoStatus,
    })
    if (lower === null) return failed(STATUS_INSUFFICIENT_RESOURCES)
    IoGetNextIrpStackLocation(lower).FileObject = file
    const returned = await IoCallDriver(device, lower)
    if (returned !== STATUS_PENDING) return failed(returned)
    await KeWaitForSingleObject(forward.Done, Executive, KernelMode, false, null)
    return failed(forward.IoStatus.Status)
  })
  return status
}
