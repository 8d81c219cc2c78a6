/**
 * Which thread runs.
 *
 * A thread is an `async` function. AsyncLocalStorage carries its record: the one mechanism that stays right
 * after ordinary promises, at no cost per `await`. What every processor must see is in the KTHREAD; what only
 * the thread's own processor needs (the promise it waits on) is in the record.
 *
 * ISRs and DPCs run without a store, so that a chain of promises started there does not pose as the thread
 * that they interrupted; `cpu.interrupted` tells them which that is.
 */
import { AsyncLocalStorage, AsyncResource } from 'node:async_hooks'
import { read32, write32 } from '../mm/access.ts'
import { type Memory, mem } from '../mm/memory.ts'
import { askerOf } from './asyncframe.ts'
import { KTHREAD } from './layouts.ts'
import { cpu, Pcr } from './pcr.ts'

export class ThreadRecord {
  readonly address: number
  /** The memory of the machine that the thread belongs to: a later boot has another. */
  readonly memory: Memory
  /** Settles the wait that is outstanding; null when there is none. */
  resume: ((status: number) => void) | null = null
  /** Where in the driver that wait began (checked build). */
  waitSite: { stack?: string } | null = null
  /** Waits that blocked so far. */
  waits = 0
  hasEnded = false
  /** Its machine is gone. */
  isStale = false
  /** Called when the thread's code has run to its end, also in a machine that is gone. */
  onSettled: (() => void) | null = null

  constructor(address: number, memory: Memory) {
    this.address = address
    this.memory = memory
  }
}

/** Carries the record of the thread that runs. */
export const threadStore = new AsyncLocalStorage<ThreadRecord | undefined>()

const { ask, forget } = askerOf(threadStore)
/** The record that the store carries to the code that runs. */
export const storedRecord = ask
/** Another machine begins, or none: the last record, and with it its machine's memory, can go. */
export const forgetRecord = forget

/** Was made while no thread ran: what runs in its scope is no thread's, nor is what is started there. */
const nobody = threadStore.exit(() => new AsyncResource('dirql'))
/** Runs `body` without the store of the thread that runs. */
export const withoutThread = (body: () => void): void => nobody.runInAsyncScope(body)

/** Records of the threads of this processor, by KTHREAD. */
export const threadRecords = new Map<number, ThreadRecord>()

/** The thread that an ISR or DPC interrupted. */
export const interrupted: { thread: ThreadRecord | undefined } = { thread: undefined }

const { Irql } = KTHREAD.offsets

/**
 * The record of the thread that runs, or that was interrupted; undefined on the idle thread.
 *
 * A callback or a promise that a thread left behind still has its store when the thread has ended, and its KTHREAD is
 * freed: such code runs on the idle thread.
 */
export function currentRecord(): ThreadRecord | undefined {
  const record = storedRecord() ?? interrupted.thread
  return record === undefined || record.hasEnded ? undefined : record
}

/** Address of the KTHREAD that runs or was interrupted; the idle thread's when there is none. */
export function currentThread(): number {
  const record = currentRecord()
  return record === undefined || record.memory.buffer !== mem.buffer ? read32(cpu.pcr + Pcr.IdleThread) : record.address
}

/** PASSIVE_LEVEL or APC_LEVEL: the part of IRQL that belongs to the thread. */
export function threadIrql(): number {
  return cpu.apcLevelThreads === 0 ? 0 : read32(currentThread() + Irql)
}

/** Sets the thread's IRQL to PASSIVE_LEVEL or APC_LEVEL. */
export function setThreadIrql(irql: number): void {
  const word = currentThread() + Irql
  const before = read32(word)
  if (before === irql) return
  cpu.apcLevelThreads += irql - before
  write32(word, irql)
}
