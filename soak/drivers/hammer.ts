/**
 * What the two drivers of the soak `hammer` have in common: who works, what came of it, and a bus that a named event
 * guards. Each driver makes the event by its name, as strangers do.
 */
import { Prng } from '../../base/prng.ts'
import { IoCreateSynchronizationEvent } from '../../kernel/io/namedevent.ts'
import { CTL_CODE, FILE_ANY_ACCESS, METHOD_BUFFERED } from '../../kernel/io/codes.ts'
import { IoCompleteRequest } from '../../kernel/io/complete.ts'
import { IoGetCurrentIrpStackLocation } from '../../kernel/io/irp.ts'
import type { IRP } from '../../kernel/io/layouts.ts'
import { IO_NO_INCREMENT, KeSetEvent } from '../../kernel/ke/event.ts'
import type { KEVENT } from '../../kernel/ke/layouts.ts'
import { Executive, KeDelayExecutionThread, KernelMode, KeWaitForSingleObject } from '../../kernel/ke/wait.ts'
import { ports } from '../../kernel/ports/ports.ts'
import { type NTSTATUS, STATUS_INVALID_PARAMETER, STATUS_SUCCESS } from '../../kernel/rtl/status.ts'
import { struct, ULONG } from '../../kernel/rtl/struct.ts'

/** Below \BaseNamedObjects. */
export const EVENT_NAME = 'SoakHammer'

export const BUS = struct('HAMMER_BUS', {
  // All guarded by the named event.
  Owner: ULONG, // the worker that has it; 0: nobody
  Count: ULONG,
  Twin: ULONG, // always the same as Count, but for the holder
})
export type BUS = InstanceType<typeof BUS>

/** Input of IOCTL_HAMMER: what one worker is to do. */
export const WORK = struct('HAMMER_WORK', {
  Bus: ULONG, // address of the BUS
  Worker: ULONG, // its number, from 1
  Rounds: ULONG, // operations
  Seed: ULONG,
  Reported: ULONG, // changes that it has reported before
})
export type WORK = InstanceType<typeof WORK>

/** Its output: what was done. */
export const DONE = struct('HAMMER_DONE', {
  Exclusive: ULONG,
  Shared: ULONG,
  Reported: ULONG, // in all
  Held: ULONG, // the named event
  Synchronized: ULONG,
  Asserted: ULONG,
  Spun: ULONG,
  Violations: ULONG,
  LongestUs: ULONG, // that one operation has waited
})

export const IOCTL_HAMMER = CTL_CODE(0x22, 0x801, METHOD_BUFFERED, FILE_ANY_ACCESS)

/** As plain values: threads of the kernel are given and give back these. */
export type Work = Record<keyof typeof WORK.offsets, number>
export type Done = Record<keyof typeof DONE.offsets, number>

const nothingDone = (): Done => Object.fromEntries(Object.keys(DONE.offsets).map((field) => [field, 0])) as Done

/** Operations between two turns that a worker leaves to the other threads of its processor. */
const TURN = 64
const TICKS_PER_US = 10

export class Worker {
  readonly done = nothingDone()
  readonly random: Prng
  readonly work: Work

  constructor(work: Work) {
    this.work = work
    this.random = new Prng(work.Seed)
    this.done.Reported = work.Reported
  }

  /** Runs `operation` as often as the work says. */
  async run(operation: (worker: Worker) => void | Promise<void>): Promise<Done> {
    for (let round = 0; round < this.work.Rounds; round++) {
      const waits = operation(this)
      if (waits !== undefined) await waits
      if (round % TURN === TURN - 1) await KeDelayExecutionThread(KernelMode, false, 0)
    }
    return this.done
  }

  expect(holds: boolean): void {
    if (!holds) this.done.Violations += 1
  }

  /** Told when an operation that has waited since `since` goes on. */
  waited(since: number): void {
    const us = Math.ceil((ports.clock.now() - since) / TICKS_PER_US)
    if (us > this.done.LongestUs) this.done.LongestUs = us
  }
}

export const now = (): number => ports.clock.now()

/** Opens the event, which is made by who comes first. */
export function openEvent(handle: { value: number }): KEVENT | null {
  return IoCreateSynchronizationEvent(`\\BaseNamedObjects\\${EVENT_NAME}`, handle)
}

/** Waits for the bus, uses it, and now and then has others wait for longer. */
export async function useBus(worker: Worker, event: KEVENT): Promise<void> {
  const since = now()
  const wait = KeWaitForSingleObject(event, Executive, KernelMode, false, null)
  if (typeof wait === 'object') await wait
  worker.waited(since)
  const bus = new BUS(worker.work.Bus)
  worker.expect(bus.Owner === 0 && bus.Count === bus.Twin)
  bus.Owner = worker.work.Worker
  bus.Count += 1
  if (worker.random.chance(1 / 512)) await KeDelayExecutionThread(KernelMode, false, 0)
  bus.Twin += 1
  worker.expect(bus.Owner === worker.work.Worker && bus.Count === bus.Twin)
  bus.Owner = 0
  worker.done.Held += 1
  KeSetEvent(event, IO_NO_INCREMENT, false)
}

/** A program's IOCTL_HAMMER: its own thread works. @irql PASSIVE_LEVEL */
export async function control(Irp: IRP, run: (work: Work) => Promise<Done>): Promise<NTSTATUS> {
  const { IoControlCode, InputBufferLength, OutputBufferLength } =
    IoGetCurrentIrpStackLocation(Irp).Parameters.DeviceIoControl
  const buffer = Irp.AssociatedIrp.SystemBuffer
  const isSound = IoControlCode === IOCTL_HAMMER && InputBufferLength >= WORK.size && OutputBufferLength >= DONE.size
  if (!isSound) return complete(Irp, STATUS_INVALID_PARAMETER)
  const { Bus, Worker: number, Rounds, Seed, Reported } = new WORK(buffer)
  const done = await run({ Bus, Worker: number, Rounds, Seed, Reported })
  Object.assign(new DONE(buffer), done)
  return complete(Irp, STATUS_SUCCESS, DONE.size)
}

export function complete(Irp: IRP, status: NTSTATUS, information = 0): NTSTATUS {
  Irp.IoStatus.Status = status
  Irp.IoStatus.Information = information
  IoCompleteRequest(Irp, IO_NO_INCREMENT)
  return status
}
