/** `dirql new driver NAME`: a driver with its test, to begin from. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { UsageError } from '../../machine/errors.ts'

const NAME = /^[a-z][a-z0-9-]{0,30}$/

/** Writes `NAME/index.ts`, `NAME/board.json` and `NAME/NAME.test.ts` into the current folder. */
export function newDriver(name: string): void {
  if (!NAME.test(name)) {
    throw new UsageError(`'${name}' cannot be a driver's name; use up to 31 lower case letters, digits and hyphens`)
  }
  if (existsSync(name)) throw new UsageError(`there is a '${name}' here already; choose another name, or move it away`)
  mkdirSync(name)
  const files = { 'index.ts': driver(name), 'board.json': board(name), [`${name}.test.ts`]: test(name) }
  for (const [file, text] of Object.entries(files)) writeFileSync(join(name, file), text)
  process.stdout.write(
    [
      `${name}/index.ts       the driver: one device, an ISR, a DPC, and a read that waits`,
      `${name}/board.json     a board for it, as a model`,
      `${name}/${name}.test.ts`,
      '',
      'next:',
      '  npm install dirql vitest   (where the project has them not)',
      `  npx vitest run ${name}`,
      '',
    ].join('\n'),
  )
}

const board = (name: string): string =>
  `${JSON.stringify(
    {
      name: `${name}-board`,
      devices: [
        {
          name,
          hardwareIds: [`example\\${name}`],
          registers: [{ name: 'EVENTS', offset: 0, kind: 'count', reset: 0 }],
          lines: [{ name: 'event', dirql: 5, mode: 'latched', shared: false, snapshot: ['EVENTS'] }],
        },
      ],
    },
    null,
    2,
  )}\n`

const test = (name: string): string => `import { readFileSync } from 'node:fs'
import { expect } from 'vitest'
import { test } from 'dirql/vitest'

const board = JSON.parse(readFileSync(new URL('./board.json', import.meta.url), 'utf8')) as object

test('a read tells how many events came', async ({ machine }) => {
  await machine.load(new URL('./index.ts', import.meta.url))
  const simulated = await machine.plug({ board, name: 'board-0' })
  await using file = await machine.open('${deviceName(name)}')
  const device = simulated.model.device('${name}')
  device.add('EVENTS', 1)
  device.line('event').pulse()
  expect(new TextDecoder().decode(await file.read(32))).toBe('1 events')
})
`

const deviceName = (name: string): string =>
  name
    .split('-')
    .map((part) => part.charAt(0).toUpperCase() + part.slice(1))
    .join('')

const driver = (name: string): string => `/** What this drives, and how: say it here. */
import {
  CmResourceTypeInterrupt,
  CmResourceTypeMemory,
  DEVICE_OBJECT,
  DO_BUFFERED_IO,
  DO_DEVICE_INITIALIZING,
  type DRIVER_OBJECT,
  array,
  Executive,
  FILE_DEVICE_UNKNOWN,
  IO_NO_INCREMENT,
  IoAttachDeviceToDeviceStack,
  IoCallDriver,
  IoCompleteRequest,
  IoConnectInterrupt,
  IoCreateDevice,
  IoCreateSymbolicLink,
  IoDeleteDevice,
  IoDeleteSymbolicLink,
  IoDetachDevice,
  IoDisconnectInterrupt,
  IoForwardIrpSynchronously,
  IoGetCurrentIrpStackLocation,
  IoSkipCurrentIrpStackLocation,
  type IRP,
  IRP_MJ_CLEANUP,
  IRP_MJ_CLOSE,
  IRP_MJ_CREATE,
  IRP_MJ_PNP,
  IRP_MJ_READ,
  IRP_MN_REMOVE_DEVICE,
  IRP_MN_START_DEVICE,
  IRP_MN_SURPRISE_REMOVAL,
  KDPC,
  KeInitializeDpc,
  KeInitializeEvent,
  KeInsertQueueDpc,
  KeRemoveQueueDpc,
  KernelMode,
  KeSetEvent,
  KEVENT,
  KeWaitForSingleObject,
  KINTERRUPT,
  Latched,
  MmMapIoSpace,
  MmNonCached,
  MmUnmapIoSpace,
  NT_SUCCESS,
  type NTSTATUS,
  out,
  pointer,
  READ_REGISTER_ULONG,
  ref,
  STATUS_BUFFER_TOO_SMALL,
  STATUS_DEVICE_NOT_CONNECTED,
  STATUS_SUCCESS,
  STATUS_UNSUCCESSFUL,
  struct,
  SynchronizationEvent,
  UCHAR,
  ULONG,
} from 'dirql/wdm'

/** The devices that this driver is for: those of board.json. */
export const hardwareIds = ['example\\\\${name}']

const EVENTS = 0 // the register
const REGISTER_BYTES = 4
const DEVICE = '\\\\Device\\\\${deviceName(name)}'
const LINK = '\\\\??\\\\${deviceName(name)}'

/** The device extension: memory that every processor sees. */
export const EXTENSION = struct('EXTENSION', {
  Events: ULONG, // guarded by the interrupt spin lock
  Registers: ULONG, // address; 0 when the board is gone
  Interrupt: pointer(KINTERRUPT),
  Lower: pointer<DEVICE_OBJECT>(() => DEVICE_OBJECT),
  Dpc: KDPC,
  Happened: KEVENT,
})
export type EXTENSION = InstanceType<typeof EXTENSION>

const extensionOf = (device: DEVICE_OBJECT): EXTENSION => device.DeviceExtension as EXTENSION

/** @irql PASSIVE_LEVEL */
export function DriverEntry(DriverObject: DRIVER_OBJECT): NTSTATUS {
  for (const major of [IRP_MJ_CREATE, IRP_MJ_CLEANUP, IRP_MJ_CLOSE]) DriverObject.MajorFunction.set(major, succeed)
  DriverObject.MajorFunction.set(IRP_MJ_READ, read)
  DriverObject.MajorFunction.set(IRP_MJ_PNP, pnp)
  if (DriverObject.DriverExtension !== null) DriverObject.DriverExtension.AddDevice = addDevice
  DriverObject.DriverUnload = unload
  return STATUS_SUCCESS
}

export function unload(_DriverObject: DRIVER_OBJECT): void {}

/** @irql PASSIVE_LEVEL */
export function addDevice(DriverObject: DRIVER_OBJECT, PhysicalDeviceObject: DEVICE_OBJECT): NTSTATUS {
  const created = out<DEVICE_OBJECT>()
  const status = IoCreateDevice({
    DriverObject,
    DeviceExtensionSize: EXTENSION,
    DeviceName: DEVICE,
    DeviceType: FILE_DEVICE_UNKNOWN,
    DeviceCharacteristics: 0,
    Exclusive: false,
    DeviceObject: created,
  })
  if (!NT_SUCCESS(status)) return status
  const device = created.value
  const extension = extensionOf(device)
  KeInitializeDpc(extension.Dpc, dpc, extension)
  KeInitializeEvent(extension.Happened, SynchronizationEvent, false)
  extension.Lower = IoAttachDeviceToDeviceStack(device, PhysicalDeviceObject)
  device.Flags = (device.Flags | DO_BUFFERED_IO) & ~DO_DEVICE_INITIALIZING
  return IoCreateSymbolicLink(LINK, DEVICE)
}

/** @irql PASSIVE_LEVEL */
export async function pnp(DeviceObject: DEVICE_OBJECT, Irp: IRP): Promise<NTSTATUS> {
  const extension = extensionOf(DeviceObject)
  const lower = extension.Lower as DEVICE_OBJECT
  const { MinorFunction } = IoGetCurrentIrpStackLocation(Irp)
  if (MinorFunction === IRP_MN_START_DEVICE) {
    await IoForwardIrpSynchronously(lower, Irp)
    const { Status } = Irp.IoStatus
    return complete(Irp, NT_SUCCESS(Status) ? start(extension, Irp) : Status)
  }
  if (MinorFunction === IRP_MN_SURPRISE_REMOVAL || MinorFunction === IRP_MN_REMOVE_DEVICE) {
    stop(extension)
    Irp.IoStatus.Status = STATUS_SUCCESS
  }
  IoSkipCurrentIrpStackLocation(Irp)
  const status = await IoCallDriver(lower, Irp)
  if (MinorFunction === IRP_MN_REMOVE_DEVICE) {
    IoDeleteSymbolicLink(LINK)
    IoDetachDevice(lower)
    IoDeleteDevice(DeviceObject)
  }
  return status
}

/** Maps the registers and connects the interrupt that the board got. */
function start(extension: EXTENSION, Irp: IRP): NTSTATUS {
  const list = IoGetCurrentIrpStackLocation(Irp).Parameters.StartDevice.AllocatedResourcesTranslated
  if (list === null) return STATUS_UNSUCCESSFUL
  const { Count, PartialDescriptors } = list.List.at(0).PartialResourceList
  for (let index = 0; index < Count; index++) {
    const { Type, u } = PartialDescriptors.at(index)
    if (Type === CmResourceTypeMemory) {
      extension.Registers = MmMapIoSpace(u.Memory.Start, REGISTER_BYTES, MmNonCached)
    }
    if (Type !== CmResourceTypeInterrupt) continue
    const { Level, Vector, Affinity } = u.Interrupt
    const status = IoConnectInterrupt({
      InterruptObject: ref(extension, 'Interrupt'),
      ServiceRoutine: isr,
      ServiceContext: extension,
      SpinLock: null,
      Vector,
      Irql: Level,
      SynchronizeIrql: Level,
      InterruptMode: Latched,
      ShareVector: false,
      ProcessorEnableMask: Affinity,
      FloatingSave: false,
    })
    if (!NT_SUCCESS(status)) return status
  }
  return STATUS_SUCCESS
}

/** Lets go of the hardware, and of the reads that wait. */
function stop(extension: EXTENSION): void {
  const { Interrupt, Registers } = extension
  if (Interrupt !== null) IoDisconnectInterrupt(Interrupt)
  extension.Interrupt = null
  KeRemoveQueueDpc(extension.Dpc)
  if (Registers !== 0) MmUnmapIoSpace(Registers, REGISTER_BYTES)
  extension.Registers = 0
  KeSetEvent(extension.Happened, IO_NO_INCREMENT, false)
}

/** @irql DIRQL, interrupt spin lock held */
export function isr(_Interrupt: KINTERRUPT, extension: EXTENSION): boolean {
  const events = READ_REGISTER_ULONG(extension.Registers + EVENTS)
  if (events === extension.Events) return false // not ours
  extension.Events = events
  KeInsertQueueDpc(extension.Dpc, null, null)
  return true
}

/** @irql DISPATCH_LEVEL */
export function dpc(_Dpc: KDPC, extension: EXTENSION): void {
  KeSetEvent(extension.Happened, IO_NO_INCREMENT, false)
}

/** A request's buffer. */
const BYTES = struct('BYTES', { Data: array(UCHAR, 32) })

/** @irql PASSIVE_LEVEL */
export async function read(DeviceObject: DEVICE_OBJECT, Irp: IRP): Promise<NTSTATUS> {
  const extension = extensionOf(DeviceObject)
  await KeWaitForSingleObject(extension.Happened, Executive, KernelMode, false, null)
  if (extension.Interrupt === null) {
    KeSetEvent(extension.Happened, IO_NO_INCREMENT, false) // the next reader must hear of it, too
    return complete(Irp, STATUS_DEVICE_NOT_CONNECTED)
  }
  const text = \`\${extension.Events} events\`
  if (IoGetCurrentIrpStackLocation(Irp).Parameters.Read.Length < text.length) {
    return complete(Irp, STATUS_BUFFER_TOO_SMALL)
  }
  const { Data } = new BYTES(Irp.AssociatedIrp.SystemBuffer)
  for (let index = 0; index < text.length; index++) Data[index] = text.charCodeAt(index)
  return complete(Irp, STATUS_SUCCESS, text.length)
}

/** @irql PASSIVE_LEVEL */
export function succeed(_DeviceObject: DEVICE_OBJECT, Irp: IRP): NTSTATUS {
  return complete(Irp, STATUS_SUCCESS)
}

function complete(Irp: IRP, status: NTSTATUS, information = 0): NTSTATUS {
  Irp.IoStatus.Status = status
  Irp.IoStatus.Information = information
  IoCompleteRequest(Irp, IO_NO_INCREMENT)
  return status
}
`
