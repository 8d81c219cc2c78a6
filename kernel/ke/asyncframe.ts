/**
 * Which chain of promises runs.
 *
 * `getStore` of an AsyncLocalStorage looks into a hash table twice. Node makes such a table, a frame, whenever a store is
 * set, and never changes it again; all code of one chain of promises has the same one. So while the frame is the same,
 * so is what `getStore` tells. Node tells nobody which frame is current, but an AsyncResource keeps the one that it was
 * made in, and that one's class has methods that tell and change it. Decision 0040.
 */
import { AsyncLocalStorage, AsyncResource } from 'node:async_hooks'

/** Node's own way to the current frame. */
interface Frames {
  current: () => unknown
  set: (frame: unknown) => void
}

const HELD_UNDER = 'context_frame'

/** Null where there is none, or none that behaves as said above. */
function findFrames(): Frames | null {
  const storage = new AsyncLocalStorage<number>()
  return storage.run(1, () => {
    const { current, set } = (heldFrame()?.constructor ?? {}) as Partial<Frames>
    if (typeof current !== 'function' || typeof set !== 'function') return null
    const frame = current()
    if (frame === undefined || frame !== current() || frame !== heldFrame()) return null
    const stores = storage.run(2, () => {
      const inner = current()
      if (inner === frame || inner !== heldFrame()) return []
      set(frame)
      const outer = storage.getStore()
      set(inner)
      return [outer, storage.getStore()]
    })
    return stores[0] === 1 && stores[1] === 2 ? { current, set } : null
  })
}

function heldFrame(): object | undefined {
  const resource = new AsyncResource('dirql') as unknown as Record<symbol, object | undefined>
  const symbol = Object.getOwnPropertySymbols(resource).find(({ description }) => description === HELD_UNDER)
  return symbol === undefined ? undefined : resource[symbol]
}

const found = findFrames()

/** No frame is this one. */
export const NO_FRAME = Number.NaN

/** Something that is the same while the stores are; NO_FRAME, which is not even the same as itself, where nobody knows. */
export const currentFrame: () => unknown = found?.current ?? (() => NO_FRAME)

/** Changes it, for code that changes it back; null where nobody knows how. */
export const setFrame: ((frame: unknown) => void) | null = found?.set ?? null
