// Boots machines one after the other, with one more driver run each time, and prints what the program holds meanwhile.
// Arguments: processors, boots. Run it with --expose-gc.
import { boot } from '../../../machine/index.ts'

const [processors = 1, boots = 200] = process.argv.slice(2).map(Number)
const DRIVER = new URL('../drivers/counter.ts', import.meta.url)
/** What is in use at first depends on what was compiled: the comparison begins here. */
const FIRST = 20

interface Holding {
  resources: string[]
  residentMb: number
}

/** What is left after a turn of the event loop or two, and after all that can be collected is. */
async function holding(): Promise<Holding> {
  for (let turn = 0; turn < 5; turn++) {
    await new Promise((resolve) => setTimeout(resolve, 10))
    globalThis.gc?.()
  }
  return { resources: process.getActiveResourcesInfo().sort(), residentMb: process.memoryUsage.rss() / 1024 ** 2 }
}

async function once(): Promise<void> {
  await using machine = await boot({ processors })
  const counted = await machine.run(DRIVER, 'count', 100, processors - 1)
  if (counted !== 100) throw new Error(`counted ${String(counted)}`)
}

let first: Holding | null = null
const start = performance.now()
for (let count = 1; count <= boots; count++) {
  await once()
  if (count === FIRST) first = await holding()
}
console.log(JSON.stringify({ first, last: await holding(), ms: performance.now() - start }))
