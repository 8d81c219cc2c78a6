/**
 * Connecting ISRs to interrupt lines.
 *
 * A connection is a KINTERRUPT in the pool, LINE_BASED one for each vector of the device, linked by NextOfSet; all of
 * a set share one lock. Nothing here walks a chain: `ke/interrupt.ts` does.
 */
import { atomicAdd, read32, read8, write32, write8 } from '../mm/access.ts'
import { allocate, free } from '../mm/pool.ts'
import { BugCode } from '../ke/bugcodes.ts'
import { bugCheck } from '../ke/bugcheck.ts'
import { initializeEvent, SynchronizationEvent } from '../ke/event.ts'
import { type Routine, routineId, routineOf } from '../ke/image.ts'
import {
  connectInterrupts,
  disconnectInterrupt,
  isServedBy,
  type Joining,
  type KSERVICE_ROUTINE,
  Latched,
  levelOf,
  LevelSensitive,
} from '../ke/interrupt.ts'
import { KINTERRUPT, ObjectType } from '../ke/layouts.ts'
import { DISPATCH_LEVEL, enter, type Out, PASSIVE_LEVEL, SYNCH_LEVEL } from '../ke/level.ts'
import {
  createPassiveService,
  disconnectPassiveInterrupt,
  freePassiveService,
  isAsync,
  passiveThread,
  stopPassiveService,
} from '../ke/passive.ts'
import { cpu, Machine } from '../ke/pcr.ts'
import type { KSPIN_LOCK } from '../ke/spinlock.ts'
import { readyThread } from '../ke/start.ts'
import { createThread } from '../ps/thread.ts'
import {
  type NTSTATUS,
  STATUS_INSUFFICIENT_RESOURCES,
  STATUS_INVALID_PARAMETER,
  STATUS_SUCCESS,
} from '../rtl/status.ts'
import { type Pvoid, storePvoid } from '../rtl/struct.ts'

/** An ISR that may wait. @irql PASSIVE_LEVEL; the interrupt's event held */
export type PASSIVE_SERVICE_ROUTINE = (Interrupt: KINTERRUPT, ServiceContext: never) => Promise<boolean> | boolean

const K = KINTERRUPT.offsets
const TAG = 'IoIn'
const LOWEST_DIRQL = DISPATCH_LEVEL + 1
/** What IoConnectInterrupt's connections count as for IoDisconnectInterruptEx. */
const FULLY_SPECIFIED = 1

/** What one KINTERRUPT is made of. */
export interface Connection {
  routine: number
  context: Pvoid
  vector: number
  irql: number
  synchronizeIrql: number
  mode: number
  share: boolean
  processor: number
  /** Address of the driver's spin lock, or of the set's first; 0 for one of its own. */
  lock: number
  pdo: number
  version: number
}

const isPassive = ({ irql, synchronizeIrql }: Connection): boolean =>
  irql === PASSIVE_LEVEL && synchronizeIrql === PASSIVE_LEVEL

/** STATUS_INVALID_PARAMETER for what the kernel refuses (wdm-facts §4.3). */
function checkConnection(connection: Connection): NTSTATUS {
  const { vector, irql, synchronizeIrql, processor, mode, lock } = connection
  const level = levelOf(vector)
  const isLevelSound = level >= LOWEST_DIRQL && level <= SYNCH_LEVEL
  if (processor < 0 || !isLevelSound) return STATUS_INVALID_PARAMETER
  if (mode !== LevelSensitive && mode !== Latched) return STATUS_INVALID_PARAMETER
  if (isPassive(connection)) {
    if (lock !== 0) return STATUS_INVALID_PARAMETER
  } else if (irql !== level || synchronizeIrql < irql || synchronizeIrql > SYNCH_LEVEL) {
    return STATUS_INVALID_PARAMETER
  }
  return STATUS_SUCCESS
}

/** An ISR that has to be waited for can be, where it runs on a thread. */
function assertRoutineFits(connection: Connection): void {
  const routine = routineOf(connection.routine)
  if (isPassive(connection) || !isAsync(routine)) return
  bugCheck({
    code: BugCode.DRIVER_VIOLATION,
    parameters: [0x13, connection.vector],
    message: `ISR ${routine.name} is async, and the interrupt is not a passive-level one; nothing can wait at DIRQL, so take the async away`,
  })
}

/** Writes a KINTERRUPT that is not connected; 0 without memory. */
function createInterrupt(connection: Connection): number {
  const interrupt = allocate(KINTERRUPT.size, TAG)
  if (interrupt === 0) return 0
  const passive = isPassive(connection)
  write8(interrupt + K.Type, ObjectType.InterruptObject)
  write8(interrupt + K.Mode, connection.mode)
  write8(interrupt + K.ShareVector, connection.share ? 1 : 0)
  write8(interrupt + K.Irql, connection.irql)
  write8(interrupt + K.SynchronizeIrql, connection.synchronizeIrql)
  write8(interrupt + K.IsActive, 1)
  write8(interrupt + K.IsPassive, passive ? 1 : 0)
  write32(interrupt + K.Vector, connection.vector)
  write32(interrupt + K.Processor, connection.processor)
  write32(interrupt + K.ServiceRoutine, connection.routine)
  storePvoid(interrupt + K.ServiceContext, connection.context)
  initializeEvent(interrupt + K.PassiveEvent, SynchronizationEvent, true)
  write32(interrupt + K.ActualLock, connection.lock || interrupt + (passive ? K.PassiveEvent : K.SpinLock))
  write32(interrupt + K.Id, atomicAdd(Machine.NextInterruptId, 1) + 1)
  write32(interrupt + K.Version, connection.version)
  write32(interrupt + K.PhysicalDeviceObject, connection.pdo)
  return interrupt
}

/** Puts a set of KINTERRUPTs into their chains. */
function connect(set: readonly number[]): NTSTATUS {
  if (read8((set[0] as number) + K.IsPassive) !== 0) return connectPassively(set)
  const isConnected = connectInterrupts(set.map((interrupt) => ({ interrupt, service: 0 })))
  return isConnected ? STATUS_SUCCESS : STATUS_INVALID_PARAMETER
}

/** A KINTERRUPT with what may come to serve its vector. */
interface Served extends Joining {
  readonly thread: number
}

/** The same with a thread for each vector whose first one it is. */
function connectPassively(set: readonly number[]): NTSTATUS {
  const served: Served[] = []
  for (const interrupt of set) {
    const one = createService(interrupt)
    if (one === null) break
    served.push(one)
  }
  const hasAll = served.length === set.length
  const isConnected = hasAll && connectInterrupts(served)
  for (const { interrupt, service, thread } of served) {
    // Not connected, or another object of the vector has brought one already: its thread ends at once.
    if (!isConnected || !isServedBy(read32(interrupt + K.Vector), service)) stopPassiveService(service)
    readyThread(thread)
  }
  if (isConnected) return STATUS_SUCCESS
  return hasAll ? STATUS_INVALID_PARAMETER : STATUS_INSUFFICIENT_RESOURCES
}

/** A service and its thread, which does not run yet; null when there is no memory. */
function createService(interrupt: number): Served | null {
  const service = createPassiveService(read32(interrupt + K.Vector))
  if (service === 0) return null
  const start = { routine: routineId(passiveThread), context: service, processor: read32(interrupt + K.Processor) }
  const thread = createThread(start)
  if (thread === 0) freePassiveService(service)
  return thread === 0 ? null : { interrupt, service, thread }
}

/** The lowest processor of `mask` that this machine has; -1 when there is none. */
export function processorIn(mask: number): number {
  const lowest = mask === 0 ? -1 : 31 - Math.clz32(mask & -mask)
  return lowest < cpu.count ? lowest : -1
}

interface Connect<Routine_, Level> {
  InterruptObject: Out<KINTERRUPT | null>
  ServiceRoutine: Routine_
  ServiceContext: Pvoid
  SpinLock: KSPIN_LOCK | null
  Vector: number
  Irql: Level
  SynchronizeIrql: Level
  InterruptMode: number
  ShareVector: boolean
  ProcessorEnableMask: number
  FloatingSave: boolean
}

/** An `async` ISR compiles only where PASSIVE_LEVEL itself is written. */
export type ConnectInterrupt =
  | Connect<KSERVICE_ROUTINE, number>
  | Connect<KSERVICE_ROUTINE | PASSIVE_SERVICE_ROUTINE, typeof PASSIVE_LEVEL>

/**
 * Connects an ISR to a vector. Where others share it, the ISR may run before the call returns: `InterruptObject` is
 * filled by then. Keep the device's interrupt disabled until the call has returned.
 *
 * @irql PASSIVE_LEVEL
 * @returns STATUS_SUCCESS; STATUS_INVALID_PARAMETER for a mask without a processor of the machine, an Irql that is
 *   not the vector's, a SynchronizeIrql below it, FloatingSave, or a vector that is in use and not shared alike;
 *   STATUS_INSUFFICIENT_RESOURCES
 * @deviates (decision 0012) one interrupt object: the lowest processor of the mask dispatches the vector
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-ioconnectinterrupt
 */
export function IoConnectInterrupt(parameters: ConnectInterrupt): NTSTATUS {
  enter(PASSIVE_LEVEL, 'IoConnectInterrupt')
  return connectOne(parameters, 0, FULLY_SPECIFIED)
}

export function connectOne(parameters: ConnectInterrupt, pdo: number, version: number): NTSTATUS {
  const { InterruptObject } = parameters
  InterruptObject.value = null
  if (parameters.FloatingSave) return STATUS_INVALID_PARAMETER
  const connection: Connection = {
    routine: routineId(parameters.ServiceRoutine as Routine),
    context: parameters.ServiceContext,
    vector: parameters.Vector,
    irql: parameters.Irql,
    synchronizeIrql: parameters.SynchronizeIrql,
    mode: parameters.InterruptMode,
    share: Boolean(parameters.ShareVector),
    processor: processorIn(parameters.ProcessorEnableMask),
    lock: parameters.SpinLock?.address ?? 0,
    pdo,
    version,
  }
  return connectSet([connection], InterruptObject)
}

/** Connects all or none. The box is filled before the first interrupt can arrive. */
export function connectSet(connections: readonly Connection[], box: Out<KINTERRUPT | null>): NTSTATUS {
  for (const connection of connections) {
    const status = checkConnection(connection)
    if (status !== STATUS_SUCCESS) return status
    assertRoutineFits(connection)
  }
  const set = createSet(connections)
  if (set.length === 0) return STATUS_INSUFFICIENT_RESOURCES
  box.value = new KINTERRUPT(set[0] as number)
  const status = connect(set)
  if (status === STATUS_SUCCESS) return status
  box.value = null
  for (const created of set) freeInterrupt(created)
  return status
}

/** The set's KINTERRUPTs, linked, with the first one's lock for all that have none of the driver's. */
function createSet(connections: readonly Connection[]): number[] {
  const set: number[] = []
  for (const connection of connections) {
    const lock = connection.lock || (set.length === 0 ? 0 : read32((set[0] as number) + K.ActualLock))
    const interrupt = createInterrupt({ ...connection, lock })
    if (interrupt === 0) {
      for (const created of set) free(created, TAG)
      return []
    }
    if (set.length > 0) write32((set.at(-1) as number) + K.NextOfSet, interrupt)
    set.push(interrupt)
  }
  return set
}

/**
 * Disconnects an ISR. When the call is done, it does not run and will not be called. A passive-level interrupt's ISR
 * may have to be waited for: `await` the call.
 *
 * @irql PASSIVE_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-iodisconnectinterrupt
 */
export function IoDisconnectInterrupt(InterruptObject: KINTERRUPT): void | Promise<void> {
  enter(PASSIVE_LEVEL, 'IoDisconnectInterrupt')
  return disconnectSet(InterruptObject.address)
}

export function disconnectSet(first: number): void | Promise<void> {
  assertInterrupt(first, 'IoDisconnectInterrupt')
  const set: number[] = []
  for (let interrupt = first; interrupt !== 0; interrupt = read32(interrupt + K.NextOfSet)) set.push(interrupt)
  if (read8(first + K.IsPassive) !== 0) return disconnectPassively(set)
  // The first one has the lock of all, so none is freed before the last is disconnected.
  for (const interrupt of set) disconnectInterrupt(interrupt)
  for (const interrupt of set) freeInterrupt(interrupt)
}

async function disconnectPassively(set: readonly number[]): Promise<void> {
  for (const interrupt of set) await disconnectPassiveInterrupt(interrupt)
  for (const interrupt of set) freeInterrupt(interrupt)
}

function freeInterrupt(interrupt: number): void {
  write8(interrupt + K.Type, 0)
  free(interrupt, TAG)
}

export function assertInterrupt(interrupt: number, routine: string): void {
  if (read8(interrupt + K.Type) === ObjectType.InterruptObject) return
  bugCheck({
    code: BugCode.PNP_DETECTED_FATAL_ERROR,
    parameters: [9, interrupt],
    message: `${routine} was given what is no interrupt object, or one that was disconnected already`,
  })
}
