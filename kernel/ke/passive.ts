/**
 * Passive-level interrupts: the ISR runs at PASSIVE_LEVEL on a thread, and may wait.
 *
 * The dispatch of such a vector only wakes the vector's thread. The frame stays in the line, and no EOI goes to the
 * board before the ISRs have run: so the line stays masked meanwhile. What the interrupt spin lock is for others is
 * here the interrupt's PassiveEvent, a synchronization event that is signalled while nobody holds it.
 */
import { read32, read8, write32 } from '../mm/access.ts'
import { allocate, free } from '../mm/pool.ts'
import { type Pvoid, struct, ULONG } from '../rtl/struct.ts'
import { BugCode } from './bugcodes.ts'
import { bugCheck, escapedException } from './bugcheck.ts'
import { initializeEvent, setEvent, SynchronizationEvent } from './event.ts'
import { kernelRoutine, type Routine } from './image.ts'
import {
  countClaim,
  disconnectInterrupt,
  endInterrupt,
  entryOf,
  isConnected,
  LevelSensitive,
  servedOf,
  takeFrames,
  Vector,
  withVector,
} from './interrupt.ts'
import { KEVENT, KINTERRUPT } from './layouts.ts'
import { currentIrql, enter, levelName, PASSIVE_LEVEL } from './level.ts'
import { waitForObject } from './wait.ts'

const K = KINTERRUPT.offsets
const TAG = 'KePs'

/** Belongs to its thread, which frees it when it is told to stop. */
const PASSIVE_SERVICE = struct('PASSIVE_SERVICE', {
  Wake: KEVENT, // synchronization: the vector was dispatched
  Chain: KEVENT, // synchronization, signalled while nobody holds it: who holds it may rely on the chain's objects
  Vector: ULONG,
  IsStopping: ULONG,
})
const Service = PASSIVE_SERVICE.offsets

/** Makes the service of a passive-level vector, 0 when there is no memory. Its thread runs `passiveThread` with it. */
export function createPassiveService(vector: number): number {
  const service = allocate(PASSIVE_SERVICE.size, TAG)
  if (service === 0) return 0
  initializeEvent(service + Service.Wake, SynchronizationEvent, false)
  initializeEvent(service + Service.Chain, SynchronizationEvent, true)
  write32(service + Service.Vector, vector)
  return service
}

/** Ends the service's thread, which frees it. */
export function stopPassiveService(service: number): void {
  write32(service + Service.IsStopping, 1)
  setEvent(service + Service.Wake)
}

/** Frees a service that got no thread. */
export function freePassiveService(service: number): void {
  free(service, TAG)
}

/** Called at the vector's level. */
export function wakePassiveService(service: number): void {
  setEvent(service + Service.Wake)
}

/** Start routine of a vector's thread. */
export const passiveThread = kernelRoutine(async function passiveThread(service: number) {
  for (;;) {
    await waitForObject(service + Service.Wake)
    await waitForObject(service + Service.Chain)
    if (read32(service + Service.IsStopping) !== 0) break
    await serveVector(read32(service + Service.Vector))
    setEvent(service + Service.Chain)
  }
  free(service, TAG)
})

/** One interrupt: takes the frames and calls the ISRs with all their events held, then ends the interrupt. */
async function serveVector(vector: number): Promise<void> {
  const entry = entryOf(vector)
  const chain = chainOf(entry)
  // By address, so that two threads that take several of them never wait for each other.
  const events = [...new Set(chain.map((interrupt) => read32(interrupt + K.ActualLock)))].sort((a, b) => a - b)
  for (const event of events) await waitForObject(event)
  withVector(entry, () => takeFrames(entry)) // a line may be taken off the vector meanwhile, and freed
  const isClaimed = await walkChain(chain)
  for (const event of events) setEvent(event)
  withVector(entry, () => {
    endInterrupt(entry, isClaimed)
    countClaim(entry, vector, isClaimed)
  })
}

function chainOf(entry: number): number[] {
  const chain: number[] = []
  withVector(entry, () => {
    const head = entry + Vector.Chain
    for (let link = read32(head); link !== head; link = read32(link)) chain.push(link - K.ListEntry)
  })
  return chain
}

/** As `serveChain`: a level-triggered chain stops at the first claim, a latched one when a whole pass claims nothing. */
async function walkChain(chain: readonly number[]): Promise<boolean> {
  let isClaimed = false
  for (;;) {
    let isPassClaimed = false
    for (const interrupt of chain) {
      if (read8(interrupt + K.IsActive) === 0 || !(await callService(interrupt))) continue
      isPassClaimed = true
      if (read8(interrupt + K.Mode) === LevelSensitive) return true
    }
    if (!isPassClaimed) return isClaimed
    isClaimed = true
    if (chain.length === 1) return true // one source alone has said what it had to
  }
}

async function callService(interrupt: number): Promise<boolean> {
  const { routine, interrupt: view, context } = servedOf(interrupt)
  write32(interrupt + K.DispatchCount, read32(interrupt + K.DispatchCount) + 1)
  const isClaimed = Boolean(await call(routine, `passive-level ISR ${routine.name}`, view, context))
  if (isClaimed) write32(interrupt + K.ClaimCount, read32(interrupt + K.ClaimCount) + 1)
  return isClaimed
}

async function call(routine: Routine, what: string, ...args: unknown[]): Promise<unknown> {
  let result: unknown
  try {
    result = await routine(...args)
  } catch (error) {
    escapedException(error, what)
  }
  if (currentIrql() !== PASSIVE_LEVEL) changedIrql(what)
  return result
}

function changedIrql(what: string): never {
  const irql = currentIrql()
  return bugCheck({
    code: BugCode.IRQL_UNEXPECTED_VALUE,
    parameters: [(irql << 16) | 3],
    message: `${what} ended at ${levelName(irql)}; it was called at PASSIVE_LEVEL and must end there`,
  })
}

/** KeSynchronizeExecution of a passive-level interrupt. */
export function synchronizePassively(interrupt: number, routine: Routine, context: Pvoid): Promise<number> {
  enter(PASSIVE_LEVEL, 'KeSynchronizeExecution')
  if (!isAsync(routine)) plainRoutine(interrupt, routine)
  return runSynchronized(read32(interrupt + K.ActualLock), routine, context)
}

async function runSynchronized(event: number, routine: Routine, context: Pvoid): Promise<number> {
  await waitForObject(event)
  const result = await call(routine, `SynchCritSection routine ${routine.name}`, context)
  setEvent(event)
  return Number(result) & 0xff
}

/** Whether a routine is to be awaited. */
export const isAsync = (routine: Routine): boolean =>
  Object.prototype.toString.call(routine) === '[object AsyncFunction]'

function plainRoutine(interrupt: number, routine: Routine): never {
  return bugCheck({
    code: BugCode.DRIVER_VIOLATION,
    parameters: [0x11, interrupt],
    message: `KeSynchronizeExecution of a passive-level interrupt has to wait: make ${routine.name} an async function, and await the call`,
  })
}

/** As disconnectInterrupt: when it is done, the ISR does not run and will not be called. */
export async function disconnectPassiveInterrupt(interrupt: number): Promise<void> {
  const entry = entryOf(read32(interrupt + K.Vector))
  const service = read32(entry + Vector.Passive)
  await waitForObject(service + Service.Chain)
  disconnectInterrupt(interrupt)
  if (!isConnected(entry)) {
    withVector(entry, () => endInterrupt(entry, false)) // a frame may have waited for the thread
    stopPassiveService(service)
  }
  setEvent(service + Service.Chain)
}
