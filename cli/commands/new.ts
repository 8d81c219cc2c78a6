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

test('a read waits for an event, and tells how many came', async ({ machine }) => {
  await machine.load(new URL('./index.ts', import.meta.url))
  const simulated = await machine.plug({ board, name: 'board-0' })
  const device = simulated.model.device('${name}')
  const happen = (): void => {
    device.add('EVENTS', 1)
    device.line('event').pulse()
  }
  await using file = await machine.open('${deviceName(name)}-0')
  const reading = file.read(32)
  await machine.sleep(1)
  happen()
  expect(new TextDecoder().decode(await reading)).toBe('1 events')
  happen()
  happen()
  await machine.sleep(1)
  expect(new TextDecoder().decode(await file.read(32))).toBe('3 events')
})
`

const deviceName = (name: string): string =>
  name
    .split('-')
    .map((part) => part.charAt(0).toUpperCase() + part.slice(1))
    .join('')

const driver = (name: string): string => `/**
 * What this drives, and how: say it here.
 *
 * Each event interrupts. The ISR takes over the board's count and queues a DPC; a read waits until the count has moved,
 * and tells it as text.
 */
import {
  atomic,
  DEVICE_OBJECT,
  type DRIVER_OBJECT,
  globals,
  IoDeleteSymbolicLink,
  IoDisconnectInterrupt,
  IoGetCurrentIrpStackLocation,
  type IRP,
  IRP_MJ_CLEANUP,
  IRP_MJ_CLOSE,
  IRP_MJ_CREATE,
  IRP_MJ_PNP,
  IRP_MJ_READ,
  KDPC,
  KeFlushQueuedDpcs,
  KeInitializeDpc,
  KeInitializeSpinLock,
  KeInsertQueueDpc,
  KeRemoveQueueDpc,
  KeSynchronizeExecution,
  KINTERRUPT,
  KSPIN_LOCK,
  LONG,
  MmMapIoSpace,
  MmNonCached,
  MmUnmapIoSpace,
  type NTSTATUS,
  pointer,
  READ_REGISTER_ULONG,
  ref,
  STATUS_BUFFER_TOO_SMALL,
  STATUS_CANCELLED,
  STATUS_DEVICE_NOT_CONNECTED,
  STATUS_INSUFFICIENT_RESOURCES,
  STATUS_SUCCESS,
  STATUS_UNSUCCESSFUL,
  struct,
  ULONG,
} from 'dirql/wdm'
import { BYTES, complete } from 'dirql/irp'
import { attachDevice, connectInterrupt, dispatchPnp, type PnpRoutines, type Resources } from 'dirql/pnp'
import {
  drain,
  enqueue,
  finish,
  initializeQueue,
  locked,
  queueRoutines,
  type REQUEST,
  REQUEST_QUEUE,
  serve,
} from 'dirql/requests'

/** The devices that this driver is for: those of board.json. */
export const hardwareIds = ['example\\\\${name}']

const EVENTS = 0 // the register
const REGISTER_BYTES = 4
const ALL_ONES = 0xffffffff // what a register of a board reads that was pulled out

/** The device extension: memory that every processor sees. */
export const EXTENSION = struct('EXTENSION', {
  // Guarded by the interrupt spin lock: only the ISR and SynchCritSections touch it.
  Events: ULONG, // the board's count at the last interrupt

  // Guarded by Lock, which is acquired before the interrupt spin lock.
  Lock: KSPIN_LOCK,
  Reads: REQUEST_QUEUE, // those that wait for an event
  Interrupt: pointer(KINTERRUPT), // null while the hardware is not the driver's
  Counted: ULONG, // Events, when somebody looked last
  Told: ULONG, // the count that a read was told last

  // Set before the interrupt is connected, or by PnP.
  Registers: ULONG, // address of the register window
  Lower: pointer<DEVICE_OBJECT>(() => DEVICE_OBJECT),
  Dpc: KDPC,
  Number: ULONG,
})
export type EXTENSION = InstanceType<typeof EXTENSION>

const extensionOf = (device: DEVICE_OBJECT): EXTENSION => device.DeviceExtension as EXTENSION

/** How many devices there were: each gets a number for its name. */
export const Globals = globals({ Devices: atomic(LONG) })

/** Runs once, when the driver is loaded. What the kernel is to call must be exported. @irql PASSIVE_LEVEL */
export function DriverEntry(DriverObject: DRIVER_OBJECT): NTSTATUS {
  DriverObject.MajorFunction.set(IRP_MJ_CREATE, succeed)
  DriverObject.MajorFunction.set(IRP_MJ_CLEANUP, cleanup)
  DriverObject.MajorFunction.set(IRP_MJ_CLOSE, succeed)
  DriverObject.MajorFunction.set(IRP_MJ_READ, read)
  DriverObject.MajorFunction.set(IRP_MJ_PNP, pnp)
  if (DriverObject.DriverExtension !== null) DriverObject.DriverExtension.AddDevice = addDevice
  DriverObject.DriverUnload = unload
  return STATUS_SUCCESS
}

/** Its devices are removed before. @irql PASSIVE_LEVEL */
export function unload(_DriverObject: DRIVER_OBJECT): void {}

// The device comes and goes.

/** @irql PASSIVE_LEVEL */
export function addDevice(DriverObject: DRIVER_OBJECT, PhysicalDeviceObject: DEVICE_OBJECT): NTSTATUS {
  const number = Globals.Devices.add(1)
  const initialize = (extension: EXTENSION): void => {
    extension.Number = number
    KeInitializeSpinLock(extension.Lock)
    KeInitializeDpc(extension.Dpc, dpc, extension)
    initializeQueue(extension.Reads, extension.Lock, extension, QUEUE)
  }
  // What programs open: \`machine.open('${deviceName(name)}-0')\`.
  const opened = { name: \`${deviceName(name)}\${number}\`, link: \`${deviceName(name)}-\${number}\` }
  return attachDevice(DriverObject, PhysicalDeviceObject, EXTENSION, initialize, opened)
}

const PNP: PnpRoutines = { start, stop, remove }

/** @irql PASSIVE_LEVEL */
export function pnp(DeviceObject: DEVICE_OBJECT, Irp: IRP): Promise<NTSTATUS> {
  return dispatchPnp(DeviceObject, extensionOf(DeviceObject).Lower as DEVICE_OBJECT, Irp, PNP)
}

/** Maps the registers and connects the interrupt that the board got. */
function start(device: DEVICE_OBJECT, { windows: [window], interrupts: [event] }: Resources): NTSTATUS {
  const extension = extensionOf(device)
  if (window === undefined || event === undefined) return STATUS_UNSUCCESSFUL
  extension.Registers = MmMapIoSpace(window, REGISTER_BYTES, MmNonCached)
  if (extension.Registers === 0) return STATUS_INSUFFICIENT_RESOURCES
  extension.Reads.IsOpen = 1
  return connectInterrupt(event, isr, extension, ref(extension, 'Interrupt'))
}

/** Lets go of the hardware, and ends the reads that wait. Called again when the device is removed. */
async function stop(device: DEVICE_OBJECT): Promise<void> {
  const extension = extensionOf(device)
  const { Interrupt, Registers } = extension
  locked(extension.Lock, () => {
    extension.Reads.IsOpen = 0
    extension.Interrupt = null // from here on only the ISR touches the hardware
  })
  if (Interrupt !== null) await IoDisconnectInterrupt(Interrupt)
  KeRemoveQueueDpc(extension.Dpc)
  await KeFlushQueuedDpcs() // behind this, none runs
  if (Registers !== 0) MmUnmapIoSpace(Registers, REGISTER_BYTES)
  extension.Registers = 0
  drain(extension.Reads, STATUS_DEVICE_NOT_CONNECTED)
}

function remove(device: DEVICE_OBJECT): void {
  IoDeleteSymbolicLink(\`\\\\??\\\\${deviceName(name)}-\${extensionOf(device).Number}\`)
}

// Events.

/** @irql DIRQL, interrupt spin lock held */
export function isr(_Interrupt: KINTERRUPT, extension: EXTENSION): boolean {
  const events = READ_REGISTER_ULONG(extension.Registers + EVENTS)
  if (events === extension.Events || events === ALL_ONES) return false // not ours
  extension.Events = events
  KeInsertQueueDpc(extension.Dpc, null, null) // FALSE if it is queued: that run tells this event, too
  return true
}

/** @irql DISPATCH_LEVEL */
export function dpc(_Dpc: KDPC, extension: EXTENSION): void {
  serveReads(extension)
}

const serveReads = (extension: EXTENSION): void => serve(extension.Reads, (request) => tell(extension, request))

/** FALSE: the read goes on waiting. Lock held. */
function tell(extension: EXTENSION, request: REQUEST): boolean {
  const { Interrupt } = extension
  if (Interrupt === null || KeSynchronizeExecution(Interrupt, look, extension) === 0) return false
  const text = \`\${extension.Counted} events\`
  if (request.Length < text.length) return finish(request, STATUS_BUFFER_TOO_SMALL)
  const { Data } = new BYTES(request.Buffer)
  for (let index = 0; index < text.length; index++) Data[index] = text.charCodeAt(index)
  request.Done = text.length
  extension.Told = extension.Counted
  return finish(request, STATUS_SUCCESS)
}

/** A SynchCritSection: TRUE when there are events that no read was told. @irql DIRQL, interrupt spin lock held */
export function look(extension: EXTENSION): boolean {
  extension.Counted = extension.Events
  return extension.Counted !== extension.Told
}

// Requests. Those that wait are in a cancel-safe queue, which calls these exports.

const QUEUE = queueRoutines()
export const { insertIrp, removeIrp, peekNextIrp, acquireLock, releaseLock, completeCancelledIrp } = QUEUE

/** Waits for events. @irql <= DISPATCH_LEVEL */
export function read(DeviceObject: DEVICE_OBJECT, Irp: IRP): NTSTATUS {
  const extension = extensionOf(DeviceObject)
  const { Length } = IoGetCurrentIrpStackLocation(Irp).Parameters.Read
  const status = enqueue(extension.Reads, Irp, { buffer: Irp.AssociatedIrp.SystemBuffer, length: Length })
  serveReads(extension)
  return status
}

/** The last handle of a file is closed: nobody waits there any more. @irql PASSIVE_LEVEL */
export function cleanup(DeviceObject: DEVICE_OBJECT, Irp: IRP): NTSTATUS {
  const { FileObject } = IoGetCurrentIrpStackLocation(Irp)
  drain(extensionOf(DeviceObject).Reads, STATUS_CANCELLED, FileObject)
  return complete(Irp, STATUS_SUCCESS)
}

/** @irql PASSIVE_LEVEL */
export function succeed(_DeviceObject: DEVICE_OBJECT, Irp: IRP): NTSTATUS {
  return complete(Irp, STATUS_SUCCESS)
}
`
