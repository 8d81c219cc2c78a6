/**
 * Two lines of one device, each dispatched by a processor of its own, connected in whichever way there is, and
 * SynchCritSections beside their ISRs. All change one struct in two halves, which come out alike only if nobody comes
 * between.
 */
import {
  KeAcquireInterruptSpinLock,
  KeReleaseInterruptSpinLock,
  KeSynchronizeExecution,
  Latched,
  levelOf,
  requestVector,
  vectorOf,
} from '../../../../kernel/ke/interrupt.ts'
import { KeGetCurrentProcessorNumber } from '../../../../kernel/ke/ipi.ts'
import { KINTERRUPT, ObjectType } from '../../../../kernel/ke/layouts.ts'
import { KeGetCurrentIrql, PASSIVE_LEVEL } from '../../../../kernel/ke/level.ts'
import { KSPIN_LOCK } from '../../../../kernel/ke/spinlock.ts'
import { KeDelayExecutionThread, KernelMode } from '../../../../kernel/ke/wait.ts'
import { createNode, Node } from '../../../../kernel/io/devnode.ts'
import { IoConnectInterrupt, IoDisconnectInterrupt } from '../../../../kernel/io/interrupt.ts'
import {
  CONNECT_FULLY_SPECIFIED,
  CONNECT_LINE_BASED,
  IoConnectInterruptEx,
  IoDisconnectInterruptEx,
} from '../../../../kernel/io/interruptex.ts'
import { DEVICE_OBJECT } from '../../../../kernel/io/layouts.ts'
import { allocateResources } from '../../../../kernel/io/resources.ts'
import { read32, write32 } from '../../../../kernel/mm/access.ts'
import { allocate, allocateStruct } from '../../../../kernel/mm/pool.ts'
import { ref } from '../../../../kernel/rtl/ref.ts'
import { LONG, pointer, struct, ULONG } from '../../../../kernel/rtl/struct.ts'

const ROUNDS = 2000
const PASSIVE_ROUNDS = 200
/** Processor n dispatches the nth. */
const VECTORS = [vectorOf(5, 30), vectorOf(8, 30)] as const

/** 0 is IoConnectInterrupt; the others are Versions of IoConnectInterruptEx. */
const CONNECT = 0

const PAIR = struct('KE_TEST_PAIR', {
  Lock: KSPIN_LOCK, // of both interrupts, where they are connected one by one
  Pdo: ULONG,
  Kind: ULONG,
  First: pointer(KINTERRUPT),
  Second: pointer(KINTERRUPT), // LINE_BASED: null, the first stands for both
  // Guarded by the interrupts' lock.
  Count: LONG,
  Mirror: LONG, // equals Count outside ISR and SynchCritSection
  Torn: LONG,
  Isrs: LONG,
  Processors: LONG, // bit n: an ISR ran on processor n
  Levels: LONG, // bit n: something ran at IRQL n
  Words: LONG, // all bits that the lock has had while it was held
  // Read without the lock.
  Inside: LONG, // an ISR runs
  Over: LONG,
})
type PAIR = InstanceType<typeof PAIR>

const at = (address: number): PAIR => new PAIR(address)
const both = ({ First, Second }: PAIR): KINTERRUPT[] => [First, Second].filter((one) => one !== null)

function begin(pair: PAIR): number {
  const before = pair.Count
  pair.Count = before + 1
  pair.Levels |= 1 << KeGetCurrentIrql()
  return before
}

/** Long enough for others to come between. */
function look(pair: PAIR, before: number): void {
  for (let spin = 0; spin < 20; spin++) if (pair.Mirror !== before) pair.Torn += 1
}

function change(pair: PAIR): void {
  const before = begin(pair)
  look(pair, before)
  pair.Mirror = before + 1
}

async function changeSlowly(pair: PAIR): Promise<void> {
  const before = begin(pair)
  look(pair, before)
  await KeDelayExecutionThread(KernelMode, false, -1)
  look(pair, before)
  pair.Mirror = before + 1
}

export function isr(interrupt: KINTERRUPT, pair: PAIR): boolean {
  change(pair)
  pair.Isrs += 1
  pair.Processors |= 1 << KeGetCurrentProcessorNumber()
  pair.Words |= read32(interrupt.ActualLock)
  return true
}

export async function slowIsr(_interrupt: KINTERRUPT, pair: PAIR): Promise<boolean> {
  await changeSlowly(pair)
  pair.Isrs += 1
  pair.Processors |= 1 << KeGetCurrentProcessorNumber()
  return true
}

export function section(pair: PAIR): boolean {
  change(pair)
  return true
}

export async function slowSection(pair: PAIR): Promise<boolean> {
  await changeSlowly(pair)
  return true
}

/** An ISR that runs for a while. It finds its object where the driver has it, which has its lock to the end. */
export function longIsr(_interrupt: KINTERRUPT, pair: PAIR): boolean {
  const owner = pair.Kind === CONNECT_LINE_BASED ? pair.First : pair.Second
  pair.Inside = 1
  for (let spin = 0; spin < 50_000; spin++) pair.Count += 1
  if (owner?.Type !== ObjectType.InterruptObject) pair.Torn += 1
  pair.Inside = 0
  return true
}

interface Wish {
  kind: number
  passive?: boolean
  /** One line alone: the second, which processor 1 dispatches. */
  alone?: boolean
}

/** Makes the pair and connects it; gives back its address. */
export function connect({ kind, passive = false, alone = false }: Wish): number {
  const pair = allocateStruct(PAIR, 'Test') as PAIR
  pair.Kind = kind
  const vectors = VECTORS.filter((_, index) => !alone || index === 1)
  pair.Pdo = makePdo(vectors, passive)
  connectPair(pair, vectors, passive ? slowIsr : isr, passive)
  return pair.address
}

/** A PDO with the given lines. */
function makePdo(vectors: readonly number[], passive: boolean): number {
  const pdo = allocate(DEVICE_OBJECT.size, 'Test')
  const lines = vectors.map((vector) => ({
    kind: 'interrupt' as const,
    vector,
    level: passive ? PASSIVE_LEVEL : levelOf(vector),
    latched: true,
    affinity: 1 << VECTORS.indexOf(vector as (typeof VECTORS)[number]),
  }))
  write32(createNode(pdo, 0) + Node.Resources, allocateResources(lines)?.address ?? 0)
  return pdo
}

type Isr = (interrupt: KINTERRUPT, pair: PAIR) => boolean | Promise<boolean>

function connectPair(pair: PAIR, vectors: readonly number[], routine: Isr, passive: boolean): void {
  const PhysicalDeviceObject = new DEVICE_OBJECT(pair.Pdo)
  const ServiceRoutine = routine as typeof isr // at PASSIVE_LEVEL it may be async
  const common = { ServiceRoutine, ServiceContext: pair, FloatingSave: false }
  if (pair.Kind === CONNECT_LINE_BASED) {
    const InterruptObject = ref(pair, 'First')
    const LineBased = { ...common, PhysicalDeviceObject, InterruptObject, SpinLock: null, SynchronizeIrql: 0 }
    check(IoConnectInterruptEx({ Version: CONNECT_LINE_BASED, LineBased }))
    return
  }
  for (const [index, Vector] of vectors.entries()) {
    const InterruptObject = ref(pair, index === 0 ? 'First' : 'Second')
    const parameters = {
      ...common,
      InterruptObject,
      SpinLock: passive ? null : pair.Lock,
      Vector,
      Irql: passive ? PASSIVE_LEVEL : levelOf(Vector),
      // The highest of all that share the lock.
      SynchronizeIrql: passive ? PASSIVE_LEVEL : Math.max(...vectors.map(levelOf)),
      InterruptMode: Latched,
      ShareVector: false,
      ProcessorEnableMask: 1 << VECTORS.indexOf(Vector as (typeof VECTORS)[number]),
    }
    const FullySpecified = { ...parameters, PhysicalDeviceObject }
    if (pair.Kind === CONNECT) check(IoConnectInterrupt(parameters))
    else check(IoConnectInterruptEx({ Version: CONNECT_FULLY_SPECIFIED, FullySpecified }))
  }
}

function check(status: number): void {
  if (status !== 0) throw new Error(`not connected: 0x${(status >>> 0).toString(16)}`)
}

async function disconnect(pair: PAIR): Promise<void> {
  for (const interrupt of both(pair)) {
    if (pair.Kind === CONNECT) await IoDisconnectInterrupt(interrupt)
    else await IoDisconnectInterruptEx({ Version: pair.Kind, ConnectionContext: interrupt })
  }
  pair.First = pair.Second = null
}

/** The processor's line interrupts again and again. */
export function interruptHammer(): void {
  const vector = VECTORS[KeGetCurrentProcessorNumber()] as number
  for (let round = 0; round < ROUNDS; round++) {
    requestVector(KeGetCurrentProcessorNumber(), vector)
    KeGetCurrentIrql()
  }
}

/** The same for ISRs that run on threads, which get their turns in between. */
export async function slowInterruptHammer(): Promise<void> {
  const vector = VECTORS[KeGetCurrentProcessorNumber()] as number
  for (let round = 0; round < PASSIVE_ROUNDS; round++) {
    requestVector(KeGetCurrentProcessorNumber(), vector)
    await KeDelayExecutionThread(KernelMode, false, -1)
  }
}

/** Runs SynchCritSections by each of the interrupt objects in turn; gives back how many. */
export function sectionHammer(address: number): number {
  const pair = at(address)
  const interrupts = both(pair)
  for (let round = 0; round < ROUNDS; round++) {
    KeSynchronizeExecution(interrupts[round % interrupts.length] as KINTERRUPT, section, pair)
  }
  return ROUNDS
}

export async function slowSectionHammer(address: number): Promise<number> {
  const pair = at(address)
  const interrupts = both(pair)
  for (let round = 0; round < PASSIVE_ROUNDS; round++) {
    await KeSynchronizeExecution(interrupts[round % interrupts.length] as KINTERRUPT, slowSection, pair)
  }
  return PASSIVE_ROUNDS
}

/** As sectionHammer, with the lock in the open. */
export function lockHammer(address: number): number {
  const pair = at(address)
  const interrupts = both(pair)
  for (let round = 0; round < ROUNDS; round++) {
    const interrupt = interrupts[round % interrupts.length] as KINTERRUPT
    const irql = KeAcquireInterruptSpinLock(interrupt)
    change(pair)
    KeReleaseInterruptSpinLock(interrupt, irql)
  }
  return ROUNDS
}

/** Disconnects, and tells what was seen. */
export async function verdict(address: number): Promise<object> {
  const pair = at(address)
  await KeDelayExecutionThread(KernelMode, false, -10_000) // the last passive-level ISR
  const isFree = both(pair).every(({ ActualLock, IsPassive }) => IsPassive !== 0 || read32(ActualLock) === 0)
  await disconnect(pair)
  const { Count, Mirror, Torn, Isrs, Processors, Levels, Words } = pair
  return { Count, Mirror, Torn, Isrs, Processors, Levels, Words, isFree }
}

/** A pair that is not connected; gives back its address. */
export function make({ kind }: Wish): number {
  const pair = allocateStruct(PAIR, 'Test') as PAIR
  pair.Kind = kind
  pair.Pdo = makePdo(VECTORS, false)
  return pair.address
}

/** Connects and disconnects while a line interrupts; tells how often an ISR ran behind a disconnect, or without its lock. */
export async function connectAgainAndAgain(address: number): Promise<{ late: number; unlocked: number }> {
  const pair = at(address)
  let late = 0
  for (let round = 0; round < 20; round++) {
    connectPair(pair, VECTORS, longIsr, false)
    while (pair.Inside === 0) KeGetCurrentIrql()
    await disconnect(pair)
    late += pair.Inside
  }
  pair.Over = 1
  return { late, unlocked: pair.Torn }
}

/** The line of processor 1 interrupts as long as anybody connects to it. */
export async function interruptUntilOver(address: number): Promise<void> {
  const pair = at(address)
  while (pair.Over === 0) {
    requestVector(1, VECTORS[1])
    KeGetCurrentIrql()
  }
}
