/** What a bug check leaves behind: plain data, so that it can travel between threads and into a file. */

export interface CrashedProcessor {
  number: number
  irql: number
  /** Locks held, by address; with the verifier on also where each was taken. */
  heldLocks: { address: number; site: string | null }[]
}

export interface CrashedThread {
  address: number
  processor: number
  state: string
  irql: number
  /** What the thread waits for, and where in the driver it began to. */
  waitsFor: number[]
  site: string | null
}

export interface CrashRecord {
  code: number
  name: string
  parameters: [number, number, number, number]
  /** One sentence: which rule was broken, and what to do. */
  message: string
  processor: number
  irql: number
  driver: string | null
  file: string | null
  line: number | null
  stack: string
  processors: CrashedProcessor[]
  threads: CrashedThread[]
  trace: { processor: number; kind: string; first: number; second: number }[]
  pool: { tag: string; type: string; allocations: number; frees: number; bytes: number }[]
}
