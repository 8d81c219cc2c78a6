/** Locks without a kernel. Each gives back nanoseconds a round. */
import { expectEqual, timed, timedAsync } from '../benchmark.ts'
import { peer } from './packages.ts'

const LOCK = 0
const COUNT = 16 // a cache line of its own

const shared = (): Int32Array => new Int32Array(new SharedArrayBuffer(256))

/** The least that a lock can be: one word is taken and given back. */
export function atomicsPair(rounds: number): number {
  const words = shared()
  const ns = timed(rounds, () => {
    for (let round = 0; round < rounds; round++) {
      while (Atomics.compareExchange(words, LOCK, 0, 1) !== 0);
      words[COUNT] = (words[COUNT] as number) + 1
      Atomics.store(words, LOCK, 0)
    }
  })
  expectEqual(words[COUNT], rounds, 'the count')
  return ns
}

/** The same around a call of a function that nobody can inline away: it is called with a context, as a routine is. */
export function atomicsCall(rounds: number): number {
  const words = shared()
  const routine = (context: Int32Array): boolean => {
    context[COUNT] = (context[COUNT] as number) + 1
    return true
  }
  const ns = timed(rounds, () => {
    for (let round = 0; round < rounds; round++) {
      while (Atomics.compareExchange(words, LOCK, 0, 1) !== 0);
      routine(words)
      Atomics.store(words, LOCK, 0)
    }
  })
  expectEqual(words[COUNT], rounds, 'the count')
  return ns
}

async function counted(rounds: number, round: (raise: () => void) => Promise<unknown>): Promise<number> {
  let count = 0
  const raise = (): void => {
    count += 1
  }
  const ns = await timedAsync(rounds, async () => {
    for (let index = 0; index < rounds; index++) await round(raise)
  })
  expectEqual(count, rounds, 'the count')
  return ns
}

interface AsyncMutex {
  Mutex: new () => { acquire(): Promise<() => void> }
}

export async function asyncMutex(rounds: number): Promise<number> {
  const { Mutex } = await peer<AsyncMutex>('async-mutex')
  const mutex = new Mutex()
  return counted(rounds, async (raise) => {
    const release = await mutex.acquire()
    raise()
    release()
  })
}

interface Rwlock {
  readLock(): Promise<void>
  writeLock(): Promise<void>
  unlock(): void
}

/** Exclusive and shared holds of async-rwlock. */
export async function asyncRwlock({ rounds, isShared }: { rounds: number; isShared: boolean }): Promise<number> {
  const { RWLock } = await peer<{ RWLock: new () => Rwlock }>('async-rwlock')
  const lock = new RWLock()
  return counted(rounds, async (raise) => {
    await (isShared ? lock.readLock() : lock.writeLock())
    raise()
    lock.unlock()
  })
}

interface RocicorpLock {
  read(): Promise<() => void>
  write(): Promise<() => void>
}

/** Exclusive and shared holds of @rocicorp/lock. */
export async function rocicorpLock({ rounds, isShared }: { rounds: number; isShared: boolean }): Promise<number> {
  const { RWLock } = await peer<{ RWLock: new () => RocicorpLock }>('@rocicorp/lock')
  const lock = new RWLock()
  return counted(rounds, async (raise) => {
    const release = await (isShared ? lock.read() : lock.write())
    raise()
    release()
  })
}

/** Two coroutines that share one mutex: each release hands it to the other. */
async function handedOver(rounds: number, round: (raise: () => void) => Promise<unknown>): Promise<number> {
  let count = 0
  const raise = (): void => {
    count += 1
  }
  const side = async (): Promise<void> => {
    for (let index = 0; index < rounds; index++) await round(raise)
  }
  const ns = await timedAsync(rounds * 2, () => Promise.all([side(), side()]))
  expectEqual(count, rounds * 2, 'the count')
  return ns
}

export async function asyncMutexHandOver(rounds: number): Promise<number> {
  const { Mutex } = await peer<AsyncMutex>('async-mutex')
  const mutex = new Mutex()
  return handedOver(rounds, async (raise) => {
    const release = await mutex.acquire()
    raise()
    release()
  })
}

interface AsyncLock {
  acquire(key: string, body: () => Promise<void>): Promise<void>
}

export async function asyncLockHandOver(rounds: number): Promise<number> {
  const { default: Lock } = await peer<{ default: new () => AsyncLock }>('async-lock')
  const lock = new Lock()
  return handedOver(rounds, (raise) => lock.acquire('key', async () => raise()))
}
