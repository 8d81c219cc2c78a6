/** A line asserted on one processor whose ISR runs on another, idle one. */
import {
  atomic,
  DOUBLE,
  ExAllocatePool2,
  ExFreePool,
  IoConnectInterrupt,
  IoDisconnectInterrupt,
  KeStallExecutionProcessor,
  type KINTERRUPT,
  KINTERRUPT as Interrupt,
  LevelSensitive,
  out,
  pointer,
  POOL_FLAG_NON_PAGED,
  struct,
  ULONG,
} from '../../ddi/wdm.ts'
import { levelOf, requestVector, vectorOf } from '../../kernel/ke/interrupt.ts'
import { cpu, Pcr, pcrOf } from '../../kernel/ke/pcr.ts'
import { atomicLoad } from '../../kernel/mm/access.ts'
import type { Side } from './meet.ts'

/** No device stands on this vector: the driver asserts it itself. */
const VECTOR = vectorOf(6, 0x53)
/** How long the other processor is left alone once it sleeps. */
const ASLEEP_US = 100
const POLL_US = 10

const BELL = struct('BENCH_BELL', { count: atomic(ULONG), heard: DOUBLE, interrupt: pointer(Interrupt) })
type BELL = InstanceType<typeof BELL>

const now = (): number => Number(process.hrtime.bigint())

/** Connects the ISR to this processor. */
export function connect(): number {
  const bell = new BELL(ExAllocatePool2(POOL_FLAG_NON_PAGED, BELL.size, 'Benc'))
  const box = out<KINTERRUPT>()
  const status = IoConnectInterrupt({
    InterruptObject: box,
    ServiceRoutine: hear,
    ServiceContext: bell,
    SpinLock: null,
    Vector: VECTOR,
    Irql: levelOf(VECTOR),
    SynchronizeIrql: levelOf(VECTOR),
    InterruptMode: LevelSensitive,
    ShareVector: false,
    ProcessorEnableMask: 1 << cpu.number,
    FloatingSave: false,
  })
  if (status < 0) throw new Error(`IoConnectInterrupt: 0x${(status >>> 0).toString(16)}`)
  bell.interrupt = box.value
  return bell.address
}

export function hear(_interrupt: KINTERRUPT, bell: BELL): boolean {
  bell.heard = now()
  bell.count.add(1)
  return true
}

/** Asserts the line so often, each time with the last processor asleep; gives back how long it took to hear it. */
export function assertLine({ address, rounds }: Side): number[] {
  const bell = new BELL(address)
  const last = cpu.count - 1
  const figures: number[] = []
  for (let round = 0; round < rounds; round++) {
    do KeStallExecutionProcessor(POLL_US)
    while (atomicLoad(pcrOf(last) + Pcr.Sleeping) === 0)
    KeStallExecutionProcessor(ASLEEP_US)
    const before = bell.count.load()
    const begin = now()
    requestVector(last, VECTOR)
    while (bell.count.load() === before) Atomics.pause()
    figures.push(bell.heard - begin)
  }
  return figures
}

/** Gives back how often the ISR ran. */
export async function disconnect(address: number): Promise<number> {
  const bell = new BELL(address)
  if (bell.interrupt !== null) await IoDisconnectInterrupt(bell.interrupt)
  const count = bell.count.load()
  ExFreePool(bell)
  return count
}
