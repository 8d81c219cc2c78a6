/** What a soak is: a claim that is run for a long time, and what came of it. */

/** Told how far `label` has come, from 0 to 1. */
export type Progress = (label: string, part: number) => void

export interface SoakRun {
  /** How often what is soaked is to happen. */
  count: number
  seed: number
  /** Per cent of bytes damaged, where the soak has such a thing. */
  loss?: number
  progress: Progress
}

export interface SoakOutcome {
  /** Whether the claim held. */
  held: boolean
  /** What --json prints. */
  result: Record<string, unknown>
  /** A sentence for people where there is something to say. */
  remark: string
}

export interface Soak {
  name: string
  /** One line for --help. */
  summary: string
  /** The count when none is given. */
  count: number
  /** Per cent of bytes damaged when none is given; where it is left out, there is no --loss. */
  loss?: number
  run(run: SoakRun): Promise<SoakOutcome>
}
