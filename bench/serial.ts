/** Text of a serial port, from the terminal to the program's promise, and back. */
import { ReadlineParser } from '@serialport/parser-readline'
import { IOCTL_SERIAL_SET_TIMEOUTS, MAXULONG } from '../drivers/serial/ntddser.ts'
import { boot } from '../machine/index.ts'
import type { UserFile } from '../machine/user.ts'
import { beside } from './apart.ts'
import { atLeast, atMost, type Benchmark, type Contenders, type Goal, quantile, rate, rates } from './benchmark.ts'
import { startFar } from './far.ts'
import { echo, linesOf, stream, type TextPort, wholeBatches } from './far/messages.ts'

const DRIVER = new URL('../drivers/serial/index.ts', import.meta.url)
const LONGEST = 4096
const RAW = 'serialport and ReadlineParser'
/** Reads give what there is, as soon as there is anything, and wait ten minutes for it. */
const TIMEOUTS = [MAXULONG, MAXULONG, 600_000, 0, 0]

/** The port as a stream of text lines, cut by the same parser as the package's. */
function textPort(file: UserFile): TextPort {
  const parser = new ReadlineParser()
  const lines = linesOf(parser)
  void pump(file, parser)
  return { send: (text) => file.write(text), next: () => lines.next() }
}

async function pump(file: UserFile, parser: ReadlineParser): Promise<void> {
  try {
    for (;;) parser.write(await file.read(LONGEST))
  } catch {
    // the file was closed
  }
}

/** A machine and the package, each with a board of its own. */
async function compare(
  processors: number,
  contenders: (port: TextPort, path: string) => Pick<Contenders, 'ours' | 'peers'>,
): Promise<Contenders> {
  const [far, other] = await Promise.all([startFar('text'), startFar('text')])
  const machine = await boot({
    processors,
    drivers: [DRIVER],
    boards: [{ board: 'generic-serial', at: far.path }],
  })
  const file = await machine.open('COM1')
  await file.ioctl(IOCTL_SERIAL_SET_TIMEOUTS, new Uint8Array(Uint32Array.from(TIMEOUTS).buffer))
  return {
    ...contenders(textPort(file), other.path),
    async close() {
      await file.close()
      await machine.shutdown()
      far.end()
      other.end()
    },
  }
}

const on = (processors: number): string => (processors === 1 ? 'one processor' : 'two processors')

function messages(name: string, processors: number, goals: readonly Goal[]): Benchmark {
  return {
    name,
    unit: '/s',
    what: `text lines from a PTY to the program's promises: serialport, interrupt, driver, IRP; ${on(processors)}`,
    goals,
    prepare(quick) {
      const count = wholeBatches(quick ? 10_000 : 100_000)
      return compare(processors, (port, path) => ({
        ours: rate(() => stream(port, count)),
        peers: rates({ [RAW]: beside('serial', 'streamed', { path, count }) }),
      }))
    },
  }
}

function echoes(name: string, processors: number, goals: readonly Goal[]): Benchmark {
  return {
    name,
    unit: 'ns',
    what: `from a text line that the program writes to the promise of its echo, over a PTY, p50; ${on(processors)}`,
    goals,
    prepare(quick) {
      const count = quick ? (processors === 1 ? 400 : 100) : 2000
      return compare(processors, (port, path) => ({
        ours: async () => quantile(await echo(port, count), 0.5),
        peers: { [RAW]: beside('serial', 'echoed', { path, count }) },
      }))
    },
  }
}

export const serial: Benchmark[] = [
  messages('serial', 1, [atLeast(0.5, RAW)]),
  echoes('serial.echo', 1, [atMost(1.4, RAW)]),
  messages('serial.two', 2, []),
  echoes('serial.echo.two', 2, []),
]
