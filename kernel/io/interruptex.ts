/** IoConnectInterruptEx and its family: ISRs for the lines that the PnP manager gave a device. */
import { read32 } from '../mm/access.ts'
import { BugCode } from '../ke/bugcodes.ts'
import { bugCheck } from '../ke/bugcheck.ts'
import { type Routine, routineId } from '../ke/image.ts'
import { type KSERVICE_ROUTINE, Latched, LevelSensitive, setInterruptActive } from '../ke/interrupt.ts'
import { KINTERRUPT } from '../ke/layouts.ts'
import { DISPATCH_LEVEL, enter, type Out, PASSIVE_LEVEL } from '../ke/level.ts'
import type { KSPIN_LOCK } from '../ke/spinlock.ts'
import {
  type NTSTATUS,
  STATUS_INVALID_PARAMETER,
  STATUS_INVALID_PARAMETER_1,
  STATUS_INVALID_PARAMETER_10,
  STATUS_NOT_FOUND,
  STATUS_SUCCESS,
} from '../rtl/status.ts'
import type { Pvoid } from '../rtl/struct.ts'
import { resourcesOf } from './devnode.ts'
import {
  assertInterrupt,
  connectOne,
  type ConnectInterrupt,
  connectSet,
  disconnectSet,
  type PASSIVE_SERVICE_ROUTINE,
  processorIn,
} from './interrupt.ts'
import type { DEVICE_OBJECT } from './layouts.ts'
import type { Resource } from './resources.ts'

/** How an interrupt is connected: IO_CONNECT_INTERRUPT_PARAMETERS.Version. */
export const CONNECT_FULLY_SPECIFIED = 1
export const CONNECT_LINE_BASED = 2
export const CONNECT_MESSAGE_BASED = 3
export const CONNECT_FULLY_SPECIFIED_GROUP = 4
export const CONNECT_CURRENT_VERSION = 4

const K = KINTERRUPT.offsets

type FullySpecified = ConnectInterrupt & { PhysicalDeviceObject: DEVICE_OBJECT | null }
interface Lines<Routine_, Level> {
  PhysicalDeviceObject: DEVICE_OBJECT | null
  InterruptObject: Out<KINTERRUPT | null>
  ServiceRoutine: Routine_
  ServiceContext: Pvoid
  SpinLock: KSPIN_LOCK | null
  SynchronizeIrql: Level
  FloatingSave: boolean
}
type LineBased =
  | Lines<KSERVICE_ROUTINE, number>
  | Lines<KSERVICE_ROUTINE | PASSIVE_SERVICE_ROUTINE, typeof PASSIVE_LEVEL>
interface MessageBased {
  PhysicalDeviceObject: DEVICE_OBJECT | null
  ConnectionContext: Out<KINTERRUPT | null>
  MessageServiceRoutine: (Interrupt: KINTERRUPT, ServiceContext: never, MessageId: number) => boolean
  ServiceContext: Pvoid
  SpinLock: KSPIN_LOCK | null
  SynchronizeIrql: number
  FloatingSave: boolean
  FallBackServiceRoutine: KSERVICE_ROUTINE | null
}

/** Version goes in and comes out: keep what came out for IoDisconnectInterruptEx. */
export interface IO_CONNECT_INTERRUPT_PARAMETERS {
  Version: number
  FullySpecified?: FullySpecified
  LineBased?: LineBased
  MessageBased?: MessageBased
}

/**
 * Connects an ISR: to one vector (CONNECT_FULLY_SPECIFIED; at PASSIVE_LEVEL when Irql and SynchronizeIrql are 0), or
 * to all lines of the device (CONNECT_LINE_BASED; at PASSIVE_LEVEL when they are passive-level interrupts and
 * SynchronizeIrql is 0). No device here has messages: CONNECT_MESSAGE_BASED connects FallBackServiceRoutine to the
 * lines, and Version comes back as CONNECT_LINE_BASED.
 *
 * @irql PASSIVE_LEVEL
 * @returns STATUS_SUCCESS; STATUS_INVALID_PARAMETER_1 for an unknown Version; STATUS_INVALID_PARAMETER without a
 *   PhysicalDeviceObject or the Version's parameters, for a SpinLock with a passive-level request, and as
 *   IoConnectInterrupt; STATUS_INVALID_PARAMETER_10 for a ProcessorEnableMask of 0; STATUS_NOT_FOUND when the device
 *   has no interrupt, or not that vector; STATUS_INSUFFICIENT_RESOURCES
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-ioconnectinterruptex
 */
export function IoConnectInterruptEx(Parameters: IO_CONNECT_INTERRUPT_PARAMETERS): NTSTATUS {
  enter(PASSIVE_LEVEL, 'IoConnectInterruptEx')
  switch (Parameters.Version) {
    case CONNECT_FULLY_SPECIFIED:
    case CONNECT_FULLY_SPECIFIED_GROUP:
      return connectFullySpecified(Parameters.FullySpecified, Parameters.Version)
    case CONNECT_LINE_BASED:
      return connectLines(Parameters.LineBased)
    case CONNECT_MESSAGE_BASED:
      return connectFallBack(Parameters)
    default:
      return STATUS_INVALID_PARAMETER_1
  }
}

type Interrupt = Extract<Resource, { kind: 'interrupt' }>

const interruptsOf = (pdo: DEVICE_OBJECT): Interrupt[] =>
  resourcesOf(pdo.address).filter((resource): resource is Interrupt => resource.kind === 'interrupt')

function connectFullySpecified(parameters: FullySpecified | undefined, version: number): NTSTATUS {
  if (parameters === undefined || parameters.PhysicalDeviceObject === null) return STATUS_INVALID_PARAMETER
  if (parameters.ProcessorEnableMask === 0) return STATUS_INVALID_PARAMETER_10
  const { PhysicalDeviceObject, Vector } = parameters
  if (!interruptsOf(PhysicalDeviceObject).some(({ vector }) => vector === Vector)) return STATUS_NOT_FOUND
  return connectOne(parameters, PhysicalDeviceObject.address, version)
}

function connectLines(parameters: LineBased | undefined): NTSTATUS {
  if (parameters === undefined || parameters.PhysicalDeviceObject === null) return STATUS_INVALID_PARAMETER
  const { PhysicalDeviceObject, InterruptObject, SynchronizeIrql } = parameters
  InterruptObject.value = null
  if (parameters.FloatingSave) return STATUS_INVALID_PARAMETER
  const lines = distinctVectors(interruptsOf(PhysicalDeviceObject))
  if (lines.length === 0) return STATUS_NOT_FOUND
  // What the driver gives is a minimum. Passive-level interrupts have level 0, and take no other (decision 0110).
  const synchronizeIrql = Math.max(SynchronizeIrql, ...lines.map(({ level }) => level))
  const routine = routineId(parameters.ServiceRoutine as Routine)
  const connections = lines.map((line) => ({
    routine,
    context: parameters.ServiceContext,
    vector: line.vector,
    irql: line.level,
    synchronizeIrql,
    mode: line.latched ? Latched : LevelSensitive,
    share: line.shared === true,
    processor: processorIn(line.affinity ?? -1),
    lock: parameters.SpinLock?.address ?? 0,
    pdo: PhysicalDeviceObject.address,
    version: CONNECT_LINE_BASED,
  }))
  return connectSet(connections, InterruptObject)
}

const distinctVectors = (lines: readonly Interrupt[]): Interrupt[] =>
  lines.filter((line, index) => lines.findIndex(({ vector }) => vector === line.vector) === index)

function connectFallBack(Parameters: IO_CONNECT_INTERRUPT_PARAMETERS): NTSTATUS {
  const { MessageBased } = Parameters
  if (MessageBased === undefined || MessageBased.PhysicalDeviceObject === null) return STATUS_INVALID_PARAMETER
  const { FallBackServiceRoutine, ConnectionContext, ...rest } = MessageBased
  if (FallBackServiceRoutine === null) return STATUS_NOT_FOUND
  const status = connectLines({ ...rest, InterruptObject: ConnectionContext, ServiceRoutine: FallBackServiceRoutine })
  if (status === STATUS_SUCCESS) Parameters.Version = CONNECT_LINE_BASED
  return status
}

/** What IoConnectInterruptEx gave back. */
export interface IO_DISCONNECT_INTERRUPT_PARAMETERS {
  Version: number
  ConnectionContext: KINTERRUPT
}
export type IO_REPORT_INTERRUPT_ACTIVE_STATE_PARAMETERS = IO_DISCONNECT_INTERRUPT_PARAMETERS

/**
 * Undoes IoConnectInterruptEx. When the call is done, the ISR does not run and will not be called. A passive-level
 * interrupt's ISR may have to be waited for: `await` the call.
 *
 * @irql PASSIVE_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-iodisconnectinterruptex
 */
export function IoDisconnectInterruptEx(Parameters: IO_DISCONNECT_INTERRUPT_PARAMETERS): void | Promise<void> {
  enter(PASSIVE_LEVEL, 'IoDisconnectInterruptEx')
  return disconnectSet(connectionOf(Parameters, 'IoDisconnectInterruptEx'))
}

function connectionOf({ Version, ConnectionContext }: IO_DISCONNECT_INTERRUPT_PARAMETERS, routine: string): number {
  const interrupt = ConnectionContext.address
  assertInterrupt(interrupt, routine)
  const connected = read32(interrupt + K.Version)
  if (Version === connected) return interrupt
  return bugCheck({
    code: BugCode.PNP_DETECTED_FATAL_ERROR,
    parameters: [9, Version],
    message: `${routine} was given Version ${Version} for an interrupt that was connected with Version ${connected}; pass what IoConnectInterruptEx left in Version`,
  })
}

/**
 * Has the ISR called again, as after connecting.
 *
 * @irql <= DISPATCH_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-ioreportinterruptactive
 */
export function IoReportInterruptActive(Parameters: IO_REPORT_INTERRUPT_ACTIVE_STATE_PARAMETERS): void {
  enter(DISPATCH_LEVEL, 'IoReportInterruptActive')
  setSetActive(connectionOf(Parameters, 'IoReportInterruptActive'), true)
}

/**
 * Has the ISR not called any more: the device is off, and what its line does means nothing. Calling it again changes
 * nothing.
 *
 * @irql <= DISPATCH_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-ioreportinterruptinactive
 */
export function IoReportInterruptInactive(Parameters: IO_REPORT_INTERRUPT_ACTIVE_STATE_PARAMETERS): void {
  enter(DISPATCH_LEVEL, 'IoReportInterruptInactive')
  setSetActive(connectionOf(Parameters, 'IoReportInterruptInactive'), false)
}

function setSetActive(first: number, isActive: boolean): void {
  for (let interrupt = first; interrupt !== 0; interrupt = read32(interrupt + K.NextOfSet)) {
    setInterruptActive(interrupt, isActive)
  }
}
