/** Oracles: who answers when the rules leave a choice open. */
import { Prng } from '../base/prng.ts'
import type { OraclePort } from '../kernel/ports/ports.ts'

/** Always the first: what a real machine would most likely do. */
export const inOrder: OraclePort = { inOrder: true, choose: () => 0 }

/** Chooses by a pseudo-random sequence: the same seed, the same choices. */
export function seeded(seed: number): OraclePort {
  const random = new Prng(seed)
  return { inOrder: false, choose: (count) => random.below(count) }
}

/** Answers with `choices`, then with 0; notes how many there were to choose from, so that all can be enumerated. */
export function replaying(choices: readonly number[]): OraclePort & { asked: number[] } {
  const asked: number[] = []
  return {
    inOrder: false,
    asked,
    choose(count) {
      asked.push(count)
      return choices[asked.length - 1] ?? 0
    },
  }
}
