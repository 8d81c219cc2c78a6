/** Runs on two processors: one sends reads and waits, the other completes or cancels them. */
import { IRP_MJ_CLEANUP, IRP_MJ_CLOSE, IRP_MJ_CREATE, IRP_MJ_READ } from '../../../kernel/io/codes.ts'
import { IoReleaseCancelSpinLock, IoSetCancelRoutine } from '../../../kernel/io/cancel.ts'
import { completeRequest } from '../../../kernel/io/complete.ts'
import { IoCreateDevice, IoCreateSymbolicLink } from '../../../kernel/io/device.ts'
import { loadDriver } from '../../../kernel/io/driver.ts'
import { IoMarkIrpPending } from '../../../kernel/io/irp.ts'
import type { DEVICE_OBJECT, DRIVER_OBJECT } from '../../../kernel/io/layouts.ts'
import { IRP } from '../../../kernel/io/layouts.ts'
import { cancel, closeHandle, openFile, readFile } from '../../../kernel/io/syscall.ts'
import { KeDelayExecutionThread } from '../../../kernel/ke/wait.ts'
import { STATUS_CANCELLED, STATUS_PENDING, STATUS_SUCCESS, type NTSTATUS } from '../../../kernel/rtl/status.ts'
import { atomic, LONG, struct, ULONG } from '../../../kernel/rtl/struct.ts'

/**
 * Mailbox: the IRP that the driver holds, and its ticket; whoever exchanges that for 0 owns it. No two requests have the
 * same ticket, as they have the same address.
 */
const HELD = struct('PARALLEL_HELD', { ticket: atomic(LONG), irp: ULONG, sent: LONG })
type HELD = InstanceType<typeof HELD>

function end(irp: IRP, status: NTSTATUS): NTSTATUS {
  irp.IoStatus.Status = status
  irp.IoStatus.Information = 0
  completeRequest(irp.address)
  return status
}

export function succeed(_device: DEVICE_OBJECT, irp: IRP): NTSTATUS {
  return end(irp, STATUS_SUCCESS)
}

export function read(device: DEVICE_OBJECT, irp: IRP): NTSTATUS {
  const held = device.DeviceExtension as HELD
  IoMarkIrpPending(irp)
  IoSetCancelRoutine(irp, cancelRead)
  held.sent += 1
  held.irp = irp.address
  held.ticket.store(held.sent) // from here on the request may be completed, and its IRP freed
  return STATUS_PENDING
}

export function cancelRead(device: DEVICE_OBJECT, irp: IRP): void {
  const held = device.DeviceExtension as HELD
  IoReleaseCancelSpinLock(irp.CancelIrql)
  held.ticket.compareExchange(held.sent, 0)
  end(irp, STATUS_CANCELLED)
}

export function DriverEntry(driver: DRIVER_OBJECT): NTSTATUS {
  for (const major of [IRP_MJ_CREATE, IRP_MJ_CLEANUP, IRP_MJ_CLOSE]) driver.MajorFunction.set(major, succeed)
  driver.MajorFunction.set(IRP_MJ_READ, read)
  const box = { value: null as DEVICE_OBJECT | null }
  IoCreateSymbolicLink('\\??\\Parallel', '\\Device\\Parallel')
  return IoCreateDevice({
    DriverObject: driver,
    DeviceExtensionSize: HELD,
    DeviceName: '\\Device\\Parallel',
    DeviceType: 0x22,
    DeviceCharacteristics: 0,
    Exclusive: false,
    DeviceObject: box,
  })
}

/** Loads the driver, and says where its mailbox is. */
export async function load(): Promise<number> {
  const { driver } = await loadDriver({ image: 0, name: 'Parallel', driverEntry: DriverEntry })
  const { DRIVER_OBJECT } = await import('../../../kernel/io/layouts.ts')
  const device = new DRIVER_OBJECT(driver).DeviceObject as DEVICE_OBJECT
  return (device.DeviceExtension as HELD).address
}

/** Sends `count` reads, one after the other. */
export async function send(count: number): Promise<{ completed: number; cancelled: number }> {
  const { handle } = await openFile('Parallel', 0x80000000)
  const result = { completed: 0, cancelled: 0 }
  for (let number = 1; number <= count; number++) {
    const { status } = await readFile(handle, 4, 0, number)
    if (status === STATUS_SUCCESS) result.completed += 1
    else if (status === STATUS_CANCELLED) result.cancelled += 1
  }
  await closeHandle(handle)
  return result
}

/** Ends each of them: cancels and completes at once, as two who know nothing of each other would. */
export async function finishAll({ mailbox, count }: { mailbox: number; count: number }): Promise<number> {
  const held = new HELD(mailbox)
  for (let ended = 0; ended < count; ) {
    const ticket = held.ticket.load()
    if (ticket === 0) {
      await KeDelayExecutionThread(0, false, -1)
      continue
    }
    ended = ticket
    if (ticket % 2 === 0) cancel(ticket)
    if (held.ticket.compareExchange(ticket, 0) !== ticket) continue
    const irp = new IRP(held.irp)
    if (IoSetCancelRoutine(irp, null) !== null) end(irp, STATUS_SUCCESS)
  }
  return count
}
