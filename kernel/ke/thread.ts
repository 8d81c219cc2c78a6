/**
 * Which thread runs.
 *
 * A thread is an `async` function. AsyncLocalStorage carries its record: the one mechanism that stays right
 * after ordinary promises, at no cost per `await`. What every processor must see is in the KTHREAD; what only
 * the thread's own processor needs (the promise it waits on) is in the record.
 *
 * ISRs and DPCs run without a store, so that a chain of promises started there does not pose as the thread
 * that they interrupted; they are told which that is.
 */
import { AsyncLocalStorage, AsyncResource } from 'node:async_hooks'
import * as access from '../mm/access.ts'
import type { Memory } from '../mm/memory.ts'
import * as memory from '../mm/memory.ts'
import { currentFrame, NO_FRAME, setFrame } from './asyncframe.ts'
import { KTHREAD } from './layouts.ts'
import * as kpcr from './pcr.ts'

// Looked up once: an imported name is looked up at each use (decision 0041).
const { read32, write32 } = access
const { mem } = memory
const { cpu, Pcr } = kpcr

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

/** Was made while no thread ran: what runs in its scope is no thread's, nor is what is started there. */
const nobody = threadStore.exit(() => new AsyncResource('dirql'))
const nobodyFrame = nobody.runInAsyncScope(currentFrame)

/** Runs `body` without the store of the thread that runs. */
export const withoutThread = (body: () => void): void => nobody.runInAsyncScope(body)

/** Records of the threads of this processor, by KTHREAD. */
export const threadRecords = new Map<number, ThreadRecord>()

/** What was found out last, and for which frame and memory that holds. Never for nobody's frame. */
const last: {
  frame: unknown
  words: Int32Array
  stored: ThreadRecord | undefined
  record: ThreadRecord | undefined
  thread: number
} = { frame: NO_FRAME, words: mem.i32, stored: undefined, record: undefined, thread: 0 }

/** The thread that an ISR or DPC has interrupted, while `isNow`. */
const interrupted: { isNow: boolean; stored: ThreadRecord | undefined; thread: number } = {
  isNow: false,
  stored: undefined,
  thread: 0,
}

/** What was found out holds no more: a thread has ended, or another machine begins. */
export function forgetCurrent(): void {
  last.frame = NO_FRAME
  last.words = NO_WORDS
  last.stored = undefined
  last.record = undefined
  interrupted.stored = undefined
}
const NO_WORDS = new Int32Array(0)

function look(): typeof last {
  const stored = threadStore.getStore()
  const record = stored ?? interruptedRecord()
  last.stored = stored
  last.record = record === undefined || record.hasEnded ? undefined : record
  last.words = mem.i32
  last.thread = last.record?.memory.i32 === mem.i32 ? last.record.address : idleThread()
  last.frame = currentFrame()
  return last
}

const idleThread = (): number => read32(cpu.pcr + Pcr.IdleThread)
const interruptedRecord = (): ThreadRecord | undefined => (interrupted.isNow ? interrupted.stored : undefined)

/** Runs `body`, ISRs and DPCs: they interrupt the thread that runs, if one does, and go without its store. */
export function interruptThread(body: () => void): void {
  const frame = currentFrame()
  const stored = storedRecord()
  if (stored === undefined) {
    body()
    return
  }
  interrupted.thread = currentThread()
  if (interrupted.stored !== stored) interrupted.stored = stored
  interrupted.isNow = true
  setFrame?.(nobodyFrame)
  try {
    if (setFrame === null) withoutThread(body)
    else body()
  } finally {
    setFrame?.(frame)
    interrupted.isNow = false
  }
}

/** The record that the store carries to the code that runs. */
export function storedRecord(): ThreadRecord | undefined {
  const frame = currentFrame()
  if (frame === last.frame) return last.stored
  return frame === nobodyFrame ? undefined : look().stored
}

/**
 * The record of the thread that runs, or that was interrupted; undefined on the idle thread.
 *
 * A callback or a promise that a thread left behind still has its store when the thread has ended, and its KTHREAD is
 * freed: such code runs on the idle thread.
 */
export function currentRecord(): ThreadRecord | undefined {
  const frame = currentFrame()
  if (frame === last.frame) return last.record
  if (frame !== nobodyFrame) return look().record
  const record = interruptedRecord()
  return record === undefined || record.hasEnded ? undefined : record
}

/** Address of the KTHREAD that runs or was interrupted; the idle thread's when there is none. */
export function currentThread(): number {
  const frame = currentFrame()
  if (frame === last.frame && last.words === mem.i32) return last.thread
  return frame === nobodyFrame ? nobodysThread() : look().thread
}

const nobodysThread = (): number => (interrupted.isNow ? interrupted.thread : idleThread())

const { Irql } = KTHREAD.offsets

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
