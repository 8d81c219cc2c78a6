/** The world on the real clock. */
import { Alarm, monotonicBase, monotonicTicks } from './clock.ts'
import { World } from './world.ts'

/** Lets `world` move by the host's timers. Gives back how to stop. */
export function moveByTimers(world: World): () => void {
  const alarm: Alarm = new Alarm(
    () => world.now(),
    () => {
      world.run()
      alarm.arm(world.next)
    },
  )
  world.onNext = (at) => alarm.arm(at)
  return () => alarm.stop()
}

/** A world of its own, whose time begins now: for boards and sessions that stand outside a machine. */
export function realWorld(): { world: World; stop: () => void } {
  const base = monotonicBase()
  const world = new World(() => monotonicTicks(base))
  return { world, stop: moveByTimers(world) }
}
