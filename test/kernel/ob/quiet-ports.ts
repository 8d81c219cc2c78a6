import type { Ports } from '../../../kernel/ports/ports.ts'

/** Ports of a processor that nothing rings and that never waits. */
export function quietPorts(): Ports {
  const nothing = (): void => {}
  return {
    processor: {
      ring: nothing,
      schedulePass: nothing,
      relax: () => Atomics.pause(),
      step: nothing,
      turn: () => Promise.resolve(),
      hostCall: nothing,
      takeMessages: nothing,
      crashed: nothing,
      print: nothing,
    },
    clock: { isVirtual: false, now: () => 0, arm: nothing, poll: nothing, stall: nothing, counter: () => 0n },
    oracle: { inOrder: true, choose: () => 0 },
    wire: { kick: nothing },
    trace: null,
  } as unknown as Ports
}
