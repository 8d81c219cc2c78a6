/** A process that runs one slice of the soak `unplug`: arguments are processors, clock, seed and unplugs. */
import { runSlice, type Slice, type Tally } from './plugs.ts'

/** What it tells its parent. */
export type UnplugNews = { kind: 'at'; unplugs: number } | { kind: 'ended'; tally: Tally }

const [processors, clock, seed, unplugs] = process.argv.slice(2)
const slice: Slice = {
  processors: Number(processors),
  clock: clock === 'real' ? 'real' : 'virtual',
  seed: Number(seed),
  unplugs: Number(unplugs),
}
const tell = (news: UnplugNews): unknown => process.send?.(news)
const tally = await runSlice(slice, (done) => tell({ kind: 'at', unplugs: done }))
tell({ kind: 'ended', tally })
// By hand, it says it to whoever started it.
if (process.send === undefined) console.log(tally)
else process.disconnect()
