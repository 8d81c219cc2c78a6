/**
 * The bottom of the machine's memory: the machine block, and one control block a processor (KPCR).
 *
 * Offsets are plain constants because these words are touched on every kernel call.
 */
import * as memory from '../mm/memory.ts'
import * as plugged from '../ports/ports.ts'

// Looked up once: an imported name is looked up at each use (decision 0041).
const { LOWEST_ADDRESS, mem } = memory
const { ports } = plugged

/** Address of the machine block. */
export const MACHINE = LOWEST_ADDRESS
export const MACHINE_SIZE = 0x1000

/** Words of the machine block. */
export const Machine = {
  ProcessorCount: MACHINE + 0,
  Flags: MACHINE + 4,
  /** Not 0 once a bug check has begun; whoever changes it from 0 writes the record. */
  BugCheck: MACHINE + 8,
  /** Guards waits, dispatcher objects, ready lists and the timer queue. Taken at DISPATCH_LEVEL or above. */
  DispatcherLock: MACHINE + 12,
  CancelSpinLock: MACHINE + 16,
  /** Guards what is changed at PASSIVE_LEVEL only: vectors, image list, callback lists. */
  ConfigurationLock: MACHINE + 20,
  NextThreadId: MACHINE + 24,
  NextInterruptId: MACHINE + 28,
  /** Timer queue (under the dispatcher lock): address of the heap, entries in use, room. */
  TimerHeap: MACHINE + 32,
  TimerCount: MACHINE + 36,
  TimerRoom: MACHINE + 40,
  TimerSequence: MACHINE + 44,
  /** Interrupt time at which the next timer is due (double), Infinity when none is set. */
  NextDue: MACHINE + 48,
  /** Virtual interrupt time (double). */
  VirtualTime: MACHINE + 56,
  /** Virtual interrupt time of the next event outside the processors (double). */
  NextOutsideEvent: MACHINE + 64,
  /** System time at interrupt time 0: 100 ns units since 1601-01-01 (int64). */
  BootSystemTime: MACHINE + 72,
  /** Lockstep: who runs. 0 is the main thread, n + 1 is processor n. */
  Token: MACHINE + 80,
  /** Lockstep: participants that had nothing to do since somebody last had. */
  IdleCount: MACHINE + 84,
  /** Doorbell of the main thread, and the bits of boards that something was posted to (`boardBit`). */
  MainDoorbell: MACHINE + 88,
  MainPending: MACHINE + 92,
  TraceHash: MACHINE + 96,
  /** Vector table: address. */
  Vectors: MACHINE + 100,
  BugCheckCallbacks: MACHINE + 104, // LIST_ENTRY
  PoolStart: MACHINE + 112,
  IpiLock: MACHINE + 116,
  IpiRoutine: MACHINE + 120,
  IpiContext: MACHINE + 124, // address, type id
  IpiDone: MACHINE + 132,
  /** How many processors have started, in their order. */
  Ready: MACHINE + 148,
  /** Never changes: short sleeps wait on it. */
  Quiet: MACHINE + 152,
  /** Lockstep: whose turn it is when the main thread has done what was due; 0 the next one's. */
  ReturnTo: MACHINE + 144,
  /** Answers of boards that wait to be taken (`replies.ts`): address of the newest REPLY. */
  Replies: MACHINE + 136,
  /** One KeGenericCallDpc at a time. */
  GenericCallLock: MACHINE + 140,
  /** 32 words that the subsystems above ke use as they like; see `Root`. */
  Roots: MACHINE + 256,
} as const

/** Root words by owner. */
export const Root = {
  ObRootDirectory: Machine.Roots,
  ObKernelHandles: Machine.Roots + 4,
  ObTypes: Machine.Roots + 8,
  ObLock: Machine.Roots + 12,
  IoDrivers: Machine.Roots + 16,
  IoDatabaseLock: Machine.Roots + 20,
  PsSystemProcess: Machine.Roots + 24,
  PsNextProcessId: Machine.Roots + 28,
  ExWorkQueues: Machine.Roots + 32,
  IoPnp: Machine.Roots + 36,
  ObNextHandle: Machine.Roots + 40,
  PsActiveThreads: Machine.Roots + 48, // LIST_ENTRY
  ObSpare: Machine.Roots + 56,
  IoIrpListLock: Machine.Roots + 60, // threads' lists of IRPs
  IoRequestLock: Machine.Roots + 64,
  IoRequests: Machine.Roots + 72, // LIST_ENTRY
  FsRtlFlags: Machine.Roots + 84, // switches of the notify package
} as const

export const MachineFlag = { Checked: 1, Multiprocessor: 2, Virtual: 4, LocalRoutines: 8 } as const

export const PCR_SIZE = 0x1000
export const pcrOf = (processor: number): number => MACHINE + MACHINE_SIZE + processor * PCR_SIZE

/** Offsets in a KPCR. */
export const Pcr = {
  /** 0 below DISPATCH_LEVEL (the thread's own word tells 0 or 1 then), else the level. */
  Irql: 0,
  Pending: 4,
  Doorbell: 8,
  /** 0 awake, 1 asleep in Atomics.wait, 2 asleep in waitAsync. */
  Sleeping: 12,
  /** Counts how often the processor has answered `Pending.Beat`. */
  Heartbeat: 16,
  CurrentThread: 20,
  IdleThread: 24,
  ReadySummary: 28,
  DpcQueue: 32, // LIST_ENTRY
  DpcLock: 40,
  DpcDepth: 44,
  /** Bumped when a drain of the DPC queue ends: KeFlushQueuedDpcs waits for it. */
  DpcDrains: 48,
  DpcActive: 52,
  IpiPending: 56,
  ReadyLists: 64, // 32 × LIST_ENTRY, by priority
  /** A bit for each vector of a level. */
  Requests: 320, // 16 levels × 8 words
  HeldLockCount: 832,
  HeldLocks: 836, // 32 × address
  Interrupts: 968,
  Dpcs: 972,
  /** The trace: events ever written, and the last 64 of 16 bytes. */
  TraceCount: 976,
  Trace: 1024,
  /** Which words of a level's requests have a bit that is set. */
  Groups: 2048, // 16 levels
} as const

/** Bits of a pending word. Device level L has bit 16 + L. */
export const Pending = {
  Dpc: 1,
  Ready: 2,
  Freeze: 4,
  Lockstep: 8,
  Message: 16,
  /** A wait began on this processor: see `thread.ts` for how a forgotten `await` is found. */
  Suspend: 32,
  /** Somebody asks whether this processor still comes to interruption points. */
  Beat: 64,
} as const
export const levelBit = (level: number): number => 1 << (16 + level)

/** What this thread knows of the processor that it is: constants of one boot. */
export const cpu = {
  isProcessor: false,
  number: 0,
  count: 1,
  pcr: pcrOf(0),
  /** The index of `pcr` among the words of the memory: what every kernel call touches is found from here. */
  word: pcrOf(0) >> 2,
  // Numbers, 0 or 1, of which V8 knows that they are: whether one is 0 is one comparison, and ten of an unknown boolean.
  multiprocessor: 0,
  checked: 1,
  lockstep: 0,
  localRoutines: false,
  /** Threads of this processor at APC_LEVEL: while it is 0, IRQL below DISPATCH_LEVEL is PASSIVE_LEVEL. */
  apcLevelThreads: 0,
  /** Interruption points to come before the next look at the clock. */
  points: 0,
}

const PENDING = Pcr.Pending >> 2

/** Sets `bits` in the pending word of `processor` and sees to it that somebody looks. */
export function requestProcessor(processor: number, bits: number): void {
  const { i32 } = mem
  const pending = (pcrOf(processor) >> 2) + PENDING
  if (!cpu.multiprocessor) i32[pending] = (i32[pending] as number) | bits
  else Atomics.or(i32, pending, bits)
  if (processor === cpu.number) ports.processor.schedulePass()
  else ports.processor.ring(processor)
}

/** Clears `bits` in the own pending word. */
export function clearPending(bits: number): void {
  const { i32 } = mem
  const pending = cpu.word + PENDING
  if (cpu.multiprocessor) Atomics.and(i32, pending, ~bits)
  else i32[pending] = (i32[pending] as number) & ~bits
}

/** Sets `bits` in the own pending word; the code that runs now looks at its next interruption point. */
export function setPending(bits: number): void {
  const { i32 } = mem
  const pending = cpu.word + PENDING
  if (cpu.multiprocessor) Atomics.or(i32, pending, bits)
  else i32[pending] = (i32[pending] as number) | bits
}
