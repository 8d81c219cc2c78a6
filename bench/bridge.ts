/** Interrupts over the bridge, each answered by a register write: on a PTY, and on the link of models. */
import { openPipe } from '../hal/links/pipe.ts'
import { realWorld } from '../hal/realworld.ts'
import { boot } from '../machine/index.ts'
import { beside } from './apart.ts'
import { atLeast, atMost, type Benchmark, type Contenders, quantile } from './benchmark.ts'
import { ANSWER, answerTo, chainBoard, COUNT } from './drivers/chainboard.ts'
import { LINES, startFar } from './far.ts'
import { type Circled, circle, circleBoard } from './far/circle.ts'
import { jsonHost, serveJson } from './far/json.ts'

const DRIVER = new URL('./drivers/chain.ts', import.meta.url)
const JSON_LINES = 'ReadlineParser and JSON.parse'

/** What is told of a circle. */
interface Wanted {
  /** Lines that interrupt at once. */
  lines: number
  figure: (circled: Circled) => number
}

const interruptsPerSecond = (lines: number): Wanted => ({ lines, figure: ({ ns }) => 1e9 / ns })
const writeLatency: Wanted = { lines: 1, figure: ({ latencies }) => quantile(latencies, 0.5) }

async function onTerminal({ lines, figure }: Wanted, rounds: number): Promise<Contenders> {
  const [ours, theirs] = await Promise.all([startFar('bridge'), startFar('json')])
  const board = { ...chainBoard(LINES), link: { kind: 'serial', baud: 1_000_000 }, protocol: 'bridge' }
  const machine = await boot({ drivers: [DRIVER], boards: [{ board, at: ours.path }] })
  await beside('serial', 'answerJson', theirs.path)()
  return {
    ours: async () => figure(await ours.circle({ lines, rounds })),
    peers: { [JSON_LINES]: async () => figure(await theirs.circle({ lines, rounds })) },
    async close() {
      await machine.shutdown()
      theirs.end()
      ours.end()
    },
  }
}

async function onModelLink({ lines, figure }: Wanted, rounds: number): Promise<Contenders> {
  const machine = await boot({ drivers: [DRIVER], boards: [{ board: chainBoard(LINES), name: 'chain', at: 'model' }] })
  return {
    ours: async () => figure(await circle(machine.board('chain').model, lines, rounds)),
    peers: { [JSON_LINES]: async () => figure(await circle(jsonBoard(), lines, rounds)) },
    close: () => machine.shutdown(),
  }
}

/** A board and its host in this thread, with a pipe of the same delays between them. */
function jsonBoard() {
  const { world } = realWorld()
  const board = circleBoard(LINES, world)
  let toHost: (bytes: Uint8Array) => void = () => {}
  let toBoard: (bytes: Uint8Array) => void = () => {}
  const ends = openPipe(
    { data: (bytes) => toHost(bytes), closed() {} },
    { data: (bytes) => toBoard(bytes), closed() {} },
    { time: world },
  )
  const sender = (end: typeof ends.host) => (text: string) => end.write(Buffer.from(text, 'latin1'))
  toBoard = serveJson(board, sender(ends.board))
  toHost = jsonHost(ANSWER, ({ snapshot }) => answerTo(countIn(snapshot)), sender(ends.host))
  return board
}

const countIn = (snapshot: readonly { offset: number; value: number }[]): number =>
  snapshot.find(({ offset }) => offset === COUNT)?.value ?? 0

const LINES_REMARK =
  'Each interrupt takes two lines of the host, its write and its end, and 15 may be out until they are acknowledged ' +
  `(docs/wire.md, 6): of ${LINES} interrupts at once the last write waits for a round trip. JSON acknowledges nothing, ` +
  'notices no damage and repeats nothing.'

export const bridge: Benchmark[] = [
  {
    name: 'bridge',
    unit: '/s',
    what: 'interrupts of one line over a PTY, as fast as each is answered by a register write and ended',
    goals: [atLeast(1, JSON_LINES)],
    prepare: (quick) => onTerminal(interruptsPerSecond(1), quick ? 1000 : 10_000),
  },
  {
    name: 'bridge.lines',
    unit: '/s',
    what: `the same of ${LINES} lines at once`,
    goals: [atLeast(1, JSON_LINES)],
    remark: LINES_REMARK,
    prepare: (quick) => onTerminal(interruptsPerSecond(LINES), quick ? 2000 : 20_000),
  },
  {
    name: 'bridge.write',
    unit: 'ns',
    what: 'from the write of a register to its effect on a board at a PTY, p50',
    goals: [atMost(1, JSON_LINES)],
    prepare: (quick) => onTerminal(writeLatency, quick ? 1000 : 10_000),
  },
  {
    name: 'bridge.model',
    unit: '/s',
    what: `interrupts of ${LINES} lines of a model in the process, each answered by a register write`,
    goals: [atLeast(1, JSON_LINES)],
    prepare: (quick) => onModelLink(interruptsPerSecond(LINES), quick ? 5000 : 50_000),
  },
  {
    name: 'bridge.model.write',
    unit: 'ns',
    what: 'from the write of a register to its effect on a model in the process, p50',
    goals: [atMost(1, JSON_LINES)],
    prepare: (quick) => onModelLink(writeLatency, quick ? 2000 : 20_000),
  },
]
