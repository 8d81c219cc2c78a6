/** Text that goes over a serial port: a board that sends numbered messages and echoes the rest, and who takes them. */
import { expectEqual, timedAsync } from '../benchmark.ts'

/** Asks the board for so many messages. */
const REQUEST = 'SEND '
/** Messages that are asked for at once; twice that are on their way at most. */
const BATCH = 2000

const messageOf = (index: number): string => `message ${String(index).padStart(6, '0')}`

/** The board: takes text, cut anywhere, and sends some. */
export function textBoard(send: (text: string) => void): (text: string) => void {
  let rest = ''
  return (text) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines)
      send(line.startsWith(REQUEST) ? messages(Number(line.slice(REQUEST.length))) : `${line}\n`)
  }
}

const messages = (count: number): string =>
  Array.from({ length: count }, (_, index) => `${messageOf(index)}\n`).join('')

/** A port as a program has it. */
export interface TextPort {
  send(text: string): Promise<unknown>
  /** The next message. */
  next(): Promise<string>
}

/** The lines that come from `parser` as promises: each goes to who has waited longest, or waits for the next who asks. */
export function linesOf(parser: NodeJS.EventEmitter): { next(): Promise<string> } {
  const lines: string[] = []
  const waiting: ((line: string) => void)[] = []
  parser.on('data', (line: string) => {
    const first = waiting.shift()
    if (first === undefined) lines.push(line)
    else first(line)
  })
  return {
    next() {
      const line = lines.shift()
      return line === undefined ? new Promise((resolve) => waiting.push(resolve)) : Promise.resolve(line)
    },
  }
}

/** Takes `count` messages, each from a promise of its own; nanoseconds a message. */
export function stream(port: TextPort, count: number): Promise<number> {
  return timedAsync(count, async () => {
    await port.send(`${REQUEST}${BATCH}\n`)
    for (let index = 0; index < count; index++) {
      const place = index % BATCH
      if (place === 0 && index + BATCH < count) await port.send(`${REQUEST}${BATCH}\n`)
      expectEqual(await port.next(), messageOf(place), 'a message')
    }
  })
}

/** How many messages fill so many batches: what is asked for is always a whole one. */
export const wholeBatches = (count: number): number => Math.ceil(count / BATCH) * BATCH

/** Sends `count` messages, each when the one before has come back; how long each took, in nanoseconds. */
export async function echo(port: TextPort, count: number): Promise<number[]> {
  const figures: number[] = []
  for (let index = 0; index < count; index++) {
    const begin = process.hrtime.bigint()
    const back = port.next()
    await port.send(`echo ${index}\n`)
    expectEqual(await back, `echo ${index}`, 'an echo')
    figures.push(Number(process.hrtime.bigint() - begin))
  }
  return figures
}
