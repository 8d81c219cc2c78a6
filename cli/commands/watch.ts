/** `dirql watch PORT`: lines, interrupts and latency, with no driver written. */
import { ExitCode } from '../exitcodes.ts'
import { Interruption } from '../interrupted.ts'
import { Lines, openSession, type Session } from '../session.ts'
import type { BridgeFrame } from '../../wire/bridge/frames.ts'

const BAUD = 115_200
const LOOKS = 20

interface Count {
  frames: number
  edges: number
}

export async function watch(path: string, { seconds }: { seconds?: number }): Promise<number> {
  using interruption = new Interruption(seconds)
  const counts = new Map<string, Count>()
  const names: string[] = []
  let session: Session | null = null
  const say = (line: string): void => void process.stdout.write(`${line}\n`)
  /** Text of a board that talks no bridge. */
  const text = new Lines((line) => session?.opened.isOpen === false && say(`  ${line}`))
  const frame = ({ line, sequence, edges, boardTime, snapshot }: BridgeFrame): void => {
    const name = names[line] ?? `line ${line}`
    counts.set(name, { frames: (counts.get(name)?.frames ?? 0) + 1, edges })
    const registers = snapshot.map(({ offset, value }) => `+0x${offset.toString(16)}=${value}`).join(' ')
    say(`  ${name}: ${edges} edges, at ${boardTime} us  ${registers}`)
    session?.host.endOfInterrupt(line, sequence)
  }
  session = await openSession({
    path,
    baud: BAUD,
    received: (bytes) => text.take(bytes),
    events: {
      frame,
      fifo: (device, offset, entries) => say(`  device ${device} +0x${offset.toString(16)}: ${entries.join(' ')}`),
      reset: () => say('  the board was reset'),
      gone: (reason) => say(`  the board is gone: ${reason}`),
      log: (line) => say(`  board: ${line}`),
    },
    closed: (reason) => reason !== null && process.stderr.write(`${path}: ${reason}\n`),
  })
  if (session.opened.isOpen) await begin(session, names, path)
  else say(`${path}: no bridge (${session.opened.reason}); its text:`)
  await interruption.happened
  await session.close()
  for (const [name, { frames, edges }] of counts) say(`${name}: ${frames} interrupts, ${edges} edges`)
  return ExitCode.Held
}

/** Says what the board is and how fast, and enables its lines. */
async function begin({ host, opened, now }: Session, names: string[], path: string): Promise<void> {
  if (!opened.isOpen) return
  const { firmware, version, uniqueId, devices } = opened.identity
  process.stdout.write(`${path}: ${firmware} ${version}, id ${uniqueId}\n`)
  const looks: number[] = []
  for (let look = 0; look < LOOKS; look++) {
    const before = now()
    await new Promise((resolve) => host.read(0, 0, resolve))
    looks.push((now() - before) / 10_000)
  }
  looks.sort((left, right) => left - right)
  process.stdout.write(`a register read takes ${(looks[LOOKS / 2] ?? 0).toFixed(1)} ms (median of ${LOOKS})\n`)
  for (const [device, { class: type, lines }] of devices.entries()) {
    for (let line = 0; line < lines; line++) {
      host.enableLine(names.length)
      names.push(`${type} (device ${device}) line ${line}`)
    }
  }
  process.stdout.write(`${names.length} lines are enabled; Ctrl-C ends it\n`)
}
