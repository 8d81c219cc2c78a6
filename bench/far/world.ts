/** The world on the real clock: what a machine of several processors has on its main thread. */
import { Alarm, monotonicBase, monotonicTicks } from '../../hal/clock.ts'
import { World } from '../../hal/world.ts'

export function realWorld(): World {
  const base = monotonicBase()
  const world = new World(() => monotonicTicks(base))
  const alarm: Alarm = new Alarm(
    () => world.now(),
    () => {
      world.run()
      alarm.arm(world.next)
    },
  )
  world.onNext = (at) => alarm.arm(at)
  return world
}
