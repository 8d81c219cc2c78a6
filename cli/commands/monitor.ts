/** `dirql monitor PORT`: the wire, decoded live. */
import { decode } from '../../wire/bridge/codec.ts'
import type { Message } from '../../wire/bridge/messages.ts'
import { ExitCode } from '../exitcodes.ts'
import { Interruption } from '../interrupted.ts'
import { Lines, openSession } from '../session.ts'

/** What each kind of line is for (docs/wire.md). */
const MEANING: Record<Message['kind'], string> = {
  H: 'hello',
  W: 'write register',
  D: 'FIFO bytes to the board',
  R: 'read register',
  E: 'end of interrupt',
  L: 'enable line',
  M: 'mask line',
  C: 'credit',
  A: 'acknowledge',
  b: 'board came up',
  h: 'answer to hello',
  t: 'identity',
  i: 'interrupt',
  s: 'snapshot, continued',
  d: 'FIFO bytes from the board',
  w: 'FIFO words from the board',
  r: 'register value',
  e: 'error',
  l: 'log',
  a: 'acknowledge',
}

export async function monitor(path: string, { baud, seconds }: { baud: number; seconds?: number }): Promise<number> {
  using interruption = new Interruption(seconds)
  const start = performance.now()
  const show = (direction: string) => (line: string) => {
    const at = ((performance.now() - start) / 1000).toFixed(4).padStart(9)
    process.stdout.write(`${at} ${direction} ${printable(line).padEnd(44)} ${decoded(line)}\n`)
  }
  const [sent, received] = [new Lines(show('>')), new Lines(show('<'))]
  const session = await openSession({
    path,
    baud,
    sent: (bytes) => sent.take(bytes),
    received: (bytes) => received.take(bytes),
    events: { frame() {}, fifo() {}, reset() {}, gone() {}, log() {} },
    closed: (reason) => reason !== null && process.stderr.write(`${path}: ${reason}\n`),
  })
  if (!session.opened.isOpen)
    process.stderr.write(`no bridge here: ${session.opened.reason}; what comes is shown raw\n`)
  await interruption.happened
  await session.close()
  return ExitCode.Held
}

// oxlint-disable-next-line no-control-regex -- bytes of a stranger must not reach the terminal
const printable = (line: string): string => line.replace(/[\x00-\x1f\x7f-\xff]/g, '·')

/** The line in words; '' when it is none of the bridge. */
function decoded(line: string): string {
  const bytes = Buffer.from(line, 'latin1')
  const told = decode(bytes, bytes.length)
  if ('fault' in told) return told.fault === 'unknown' ? '' : `(${told.fault})`
  const { kind, ...fields } = told.message as Message & Record<string, unknown>
  const sequence = told.sequence === 0 && told.ack === -1 ? '' : `#${told.sequence} `
  const text = Object.entries(fields).map(([name, value]) => `${name} ${JSON.stringify(value)}`)
  return `${sequence}${MEANING[kind]}${text.length > 0 ? `: ${text.join(', ')}` : ''}`
}
