/** An ISR on one processor, and SynchCritSections on the other, that change one struct in two halves. */
import { KeSynchronizeExecution, Latched, requestVector, vectorOf } from '../../../../kernel/ke/interrupt.ts'
import { KeGetCurrentProcessorNumber } from '../../../../kernel/ke/ipi.ts'
import { KINTERRUPT } from '../../../../kernel/ke/layouts.ts'
import { KeGetCurrentIrql } from '../../../../kernel/ke/level.ts'
import { IoConnectInterrupt, IoDisconnectInterrupt } from '../../../../kernel/io/interrupt.ts'
import { allocateStruct, free } from '../../../../kernel/mm/pool.ts'
import { LONG, pointer, struct } from '../../../../kernel/rtl/struct.ts'

const ROUNDS = 3000
const VECTOR = vectorOf(6, 9)

const DEVICE = struct('KE_TEST_DEVICE', {
  interrupt: pointer(KINTERRUPT),
  // Guarded by the interrupt spin lock.
  count: LONG,
  mirror: LONG, // equals count outside ISR and SynchCritSection
  torn: LONG,
  isrs: LONG,
  processors: LONG, // bit n: the ISR ran on processor n
})
type DEVICE = InstanceType<typeof DEVICE>

function change(device: DEVICE): void {
  const before = device.count
  device.count = before + 1
  for (let spin = 0; spin < 20; spin++) if (device.mirror !== before) device.torn += 1
  device.mirror = before + 1
}

export function isr(_interrupt: KINTERRUPT, device: DEVICE): boolean {
  change(device)
  device.isrs += 1
  device.processors |= 1 << KeGetCurrentProcessorNumber()
  return true
}

export function section(device: DEVICE): boolean {
  change(device)
  return true
}

export function connect(): number {
  const device = allocateStruct(DEVICE, 'Test')
  if (device === null) throw new Error('no pool')
  const box: { value: KINTERRUPT | null } = { value: null }
  IoConnectInterrupt({
    InterruptObject: box,
    ServiceRoutine: isr,
    ServiceContext: device,
    SpinLock: null,
    Vector: VECTOR,
    Irql: 6,
    SynchronizeIrql: 6,
    InterruptMode: Latched,
    ShareVector: false,
    ProcessorEnableMask: 2,
    FloatingSave: false,
  })
  device.interrupt = box.value
  return device.address
}

/** The line interrupts again and again; gives back how often the ISR ran. */
export function interruptHammer(address: number): number {
  for (let round = 0; round < ROUNDS; round++) {
    requestVector(KeGetCurrentProcessorNumber(), VECTOR)
    KeGetCurrentIrql()
  }
  return new DEVICE(address).isrs
}

export function sectionHammer(address: number): number {
  const device = new DEVICE(address)
  for (let round = 0; round < ROUNDS; round++) KeSynchronizeExecution(device.interrupt as KINTERRUPT, section, device)
  return ROUNDS
}

export async function verdict(address: number): Promise<object> {
  const device = new DEVICE(address)
  await IoDisconnectInterrupt(device.interrupt as KINTERRUPT)
  const { count, mirror, torn, processors } = device
  free(address)
  return { count, mirror, torn, processors }
}
