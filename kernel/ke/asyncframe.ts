/**
 * Which chain of promises runs.
 *
 * `getStore` of an AsyncLocalStorage looks into a hash table twice. Node makes such a table, a frame, whenever a store is
 * set, and never changes it again; all code of one chain of promises has the same one. So while the frame is the same,
 * so is what `getStore` tells. Node tells nobody which frame is current, but an AsyncResource keeps the one that it was
 * made in, and that one's class has a method that does. Decision 0040.
 */
import { AsyncLocalStorage, AsyncResource } from 'node:async_hooks'

type Current = () => unknown

const HELD_UNDER = 'context_frame'

/** Node's own way to the current frame; null where it has none, or none that behaves as said above. */
function findCurrent(): Current | null {
  const storage = new AsyncLocalStorage<number>()
  return storage.run(1, () => {
    const current = (heldFrame()?.constructor as { current?: Current } | undefined)?.current
    if (typeof current !== 'function') return null
    const frame = current()
    if (frame === undefined || frame !== current() || frame !== heldFrame()) return null
    return storage.run(2, () => current() !== frame && current() === heldFrame()) ? current : null
  })
}

function heldFrame(): object | undefined {
  const resource = new AsyncResource('dirql') as unknown as Record<symbol, object | undefined>
  const symbol = Object.getOwnPropertySymbols(resource).find(({ description }) => description === HELD_UNDER)
  return symbol === undefined ? undefined : resource[symbol]
}

const found = findCurrent()

/** No frame is this one. */
export const NO_FRAME = Number.NaN

/** Whether frames are known here. */
export const hasFrames = found !== null

/** Something that is the same while the stores are; NO_FRAME, which is not even the same as itself, where nobody knows. */
export const currentFrame: Current = found ?? (() => NO_FRAME)
