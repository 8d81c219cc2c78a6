/** Serial ports as the package has them, without a machine. These run in a process of their own. */
import { ReadlineParser } from '@serialport/parser-readline'
import { SerialPort } from 'serialport'
import { quantile } from '../benchmark.ts'
import { answerTo, ANSWER, COUNT } from '../drivers/chainboard.ts'
import { jsonHost } from '../far/json.ts'
import { echo, linesOf, stream, type TextPort } from '../far/messages.ts'

const open = (path: string): Promise<SerialPort> =>
  new Promise((resolve, reject) => {
    const port: SerialPort = new SerialPort({ path, baudRate: 1_000_000 }, (error) =>
      error ? reject(error) : resolve(port),
    )
  })

const close = (port: SerialPort): Promise<void> => new Promise((resolve) => port.close(() => resolve()))

function textPort(port: SerialPort): TextPort {
  const lines = linesOf(port.pipe(new ReadlineParser()))
  return {
    async send(text) {
      port.write(text)
    },
    next: () => lines.next(),
  }
}

async function onPort<T>(path: string, body: (port: TextPort) => Promise<T>): Promise<T> {
  const port = await open(path)
  const result = await body(textPort(port))
  await close(port)
  return result
}

/** Nanoseconds a message. */
export const streamed = ({ path, count }: { path: string; count: number }): Promise<number> =>
  onPort(path, (port) => stream(port, count))

/** The median of nanoseconds an echo. */
export const echoed = ({ path, count }: { path: string; count: number }): Promise<number> =>
  onPort(path, async (port) => quantile(await echo(port, count), 0.5))

/** From now on answers the interrupts of a board that speaks JSON. */
export async function answerJson(path: string): Promise<number> {
  const port = await open(path)
  const take = jsonHost(
    ANSWER,
    ({ snapshot }) => answerTo(snapshot.find(({ offset }) => offset === COUNT)?.value ?? 0),
    (text) => void port.write(text),
  )
  port.on('data', take)
  return 0
}
