/**
 * What an AsyncLocalStorage holds, asked often.
 *
 * `getStore` looks into a hash table twice. Node makes such a table, a frame, whenever a store is set, and never changes
 * it again; all code of one chain of promises has the same one. So while the frame is the same the answer is, too. Node
 * tells nobody which frame is current, but an AsyncResource keeps the one that it was made in, and that has a class with
 * a method that tells. Where nothing of the kind is found, the store is looked up each time. Decision 0040.
 */
import { AsyncLocalStorage, AsyncResource } from 'node:async_hooks'

/** Gives the current frame. */
type Current = () => unknown

const HELD_UNDER = 'context_frame'

/** Node's own way to the current frame; null where it has none that can be trusted. */
function findCurrent(): Current | null {
  const first = new AsyncLocalStorage<number>()
  return first.run(1, () => {
    const current = (frameOf(new AsyncResource('dirql'))?.constructor as { current?: Current } | undefined)?.current
    if (typeof current !== 'function') return null
    const outer = current()
    const inner = first.run(2, () => [current(), current(), first.getStore()])
    const isKept = current() === outer && frameOf(new AsyncResource('dirql')) === outer
    return isKept && inner[0] === inner[1] && inner[0] !== outer && inner[2] === 2 ? current : null
  })
}

function frameOf(resource: AsyncResource): object | undefined {
  const symbol = Object.getOwnPropertySymbols(resource).find(({ description }) => description === HELD_UNDER)
  return symbol === undefined ? undefined : (resource as unknown as Record<symbol, object | undefined>)[symbol]
}

/** Null: see above. */
export const currentFrame: Current | null = findCurrent()

/** A way to ask `storage`; `forget` lets go of what was told last. */
export interface Asker<T> {
  ask: () => T | undefined
  forget: () => void
}

export function askerOf<T>(storage: AsyncLocalStorage<T>, current: Current | null = currentFrame): Asker<T> {
  if (current === null) return { ask: () => storage.getStore(), forget: () => {} }
  const last: { frame: unknown; value: T | undefined } = { frame: undefined, value: undefined }
  return {
    ask: () => {
      const frame = current()
      if (frame === last.frame) return last.value
      last.value = storage.getStore()
      last.frame = frame
      return last.value
    },
    forget: () => Object.assign(last, { frame: undefined, value: undefined }),
  }
}
