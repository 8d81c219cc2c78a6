/** A process that runs cases of the fuzz soak, and says how far it is: a parent sees when it hangs or dies. */
import { intoBoardFile } from './boardfile.ts'
import { Random } from './random.ts'
import { UserMode } from './usermode.ts'
import { intoBoard, intoDescriptor, intoHost, intoPort } from './wire.ts'

/** What a process is told to run. */
export interface FuzzTask {
  seed: number
  from: number
  to: number
}

/** What it says. `failed` is told for each case that fails; `ended` once. */
export type FuzzNews =
  | { kind: 'at'; index: number }
  | { kind: 'failed'; index: number; target: string; message: string }
  | { kind: 'ended'; peakBytes: number }

type Target = (random: Random) => void | Promise<void>

const EVERY_MS = 200

const [seed, from, to] = process.argv.slice(2).map(Number) as [number, number, number]
const say = (news: FuzzNews): Promise<void> =>
  new Promise((resolve) => {
    if (process.send === undefined) {
      if (news.kind !== 'at') console.error(news)
      resolve()
    } else {
      process.send(news, () => resolve())
    }
  })

let saidAt = 0
const userMode = await UserMode.start()
const TARGETS: [string, Target][] = [
  ['host of the bridge', intoHost],
  ['board of the bridge', intoBoard],
  ['report descriptor', intoDescriptor],
  ['port', intoPort],
  ['board file', intoBoardFile],
  ['user mode', (random) => userMode.take(random)],
]
for (let index = from; index < to; index++) {
  const [target, run] = TARGETS[index % TARGETS.length]!
  try {
    await run(new Random(seed + index))
  } catch (error) {
    const message = error instanceof Error ? (error.stack ?? error.message) : String(error)
    await say({ kind: 'failed', index, target, message })
  }
  if (performance.now() - saidAt > EVERY_MS) {
    saidAt = performance.now()
    await say({ kind: 'at', index })
  }
}
await userMode.stop()
await say({ kind: 'ended', peakBytes: process.resourceUsage().maxRSS * 1024 })
process.disconnect?.()
