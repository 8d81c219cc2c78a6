/** Two plain workers: what the host can do without a kernel. */
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { expectEqual, quantile, type Take } from './benchmark.ts'
import { pin } from './cores.ts'

const FILE = new URL('./peers/pair.ts', import.meta.url)

/** What two workers do with each other: see peers/pair.ts. */
export type Kind = 'sleep' | 'contend' | 'mostly' | 'spin' | 'wake' | 'messages' | 'wakeOneWay' | 'messageOneWay'

export interface Pair {
  /** Has both work through `rounds`; gives back what the first of them measured, in nanoseconds. */
  run(rounds: number): Promise<number[]>
  /** The count that both have raised, which begins anew. */
  count(): number
  end(): Promise<void>
}

export async function startPair(kind: Kind): Promise<Pair> {
  const buffer = new SharedArrayBuffer(1024)
  const { port1, port2 } = new MessageChannel()
  const pair = [port1, port2].map(
    (port, side) => new Worker(FILE, { workerData: { kind, buffer, port, side }, transferList: [port] }),
  )
  const threads = await Promise.all(pair.map(async (worker) => ((await once(worker, 'message')) as [number])[0]))
  if (kind !== 'sleep') pin(threads)
  return {
    async run(rounds) {
      const answers = pair.map((worker) => once(worker, 'message'))
      for (const worker of pair) worker.postMessage(rounds)
      const [[figures]] = (await Promise.all(answers)) as [[number[]], unknown]
      return figures
    },
    count: () => Atomics.exchange(new Int32Array(buffer), 0, 0),
    end: async () => void (await Promise.all(pair.map((worker) => worker.terminate()))),
  }
}

/** The figure that `share` of the measured ones are below; each of the rounds must have been counted. */
export function takePair(pair: Pair, rounds: number, counts: number, share = 0.5): Take {
  return async () => {
    const figures = await pair.run(rounds)
    expectEqual(pair.count(), counts, 'the count')
    return quantile(figures, share)
  }
}
