/** Awaiting what is not the kernel's: files, sockets, timers of the host. */
import { ports } from '../ports/ports.ts'
import { enter, PASSIVE_LEVEL } from './level.ts'

/**
 * Lets a thread await a promise of the host, while virtual time stands still: so a run with a virtual clock is the
 * same however long the host takes. On the real clock it changes nothing.
 *
 * @irql PASSIVE_LEVEL
 */
export function host<T>(promise: PromiseLike<T>): Promise<T> {
  enter(PASSIVE_LEVEL, 'host')
  return whileTimeStands(promise)
}

async function whileTimeStands<T>(promise: PromiseLike<T>): Promise<T> {
  const { processor } = ports // at the end another machine's may be plugged in
  processor.hostCall(1)
  try {
    return await promise
  } finally {
    processor.hostCall(-1)
  }
}
