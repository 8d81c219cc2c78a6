/** `dirql board`, which is `npm run board`: the conformance on a board that is attached, and a report of it. */
import { readFileSync } from 'node:fs'
import { conform, type Outcome } from '../bench/conformance.ts'
import { deviceAt, MARK, reportOf } from '../bench/report.ts'
import { ExitCode } from '../exitcodes.ts'
import { list } from './list.ts'

interface BoardOptions {
  /** A path; undefined: only what is attached is listed. */
  port?: string
  board: string
  processors: number
  json: boolean
}

export async function board({ port, board: name, processors, json }: BoardOptions): Promise<number> {
  if (port === undefined) return attached(json)
  const say = (text: string): void => void (json || process.stderr.write(text))
  const device = await deviceAt(port).catch(() => null)
  say(`${name} at ${port}, ${processors} processors; this takes half a minute\n`)
  const run = await conform({
    board: { board: name, at: port },
    processors,
    print: (text) => say(`  ${text}`),
    told: ({ scenario, ok, ms }: Outcome) => say(`  ${scenario.padEnd(14)} ${MARK(ok)} (${ms} ms)\n`),
  })
  const setting = { dirql: version(), board: name, port, processors, device }
  process.stdout.write(json ? `${JSON.stringify({ ...setting, ...run })}\n` : `\n${reportOf(run, setting)}`)
  if (run.hasBugCheck) return ExitCode.BugCheck
  return run.ok ? ExitCode.Held : ExitCode.Lost
}

async function attached(json: boolean): Promise<number> {
  const code = await list(json)
  if (!json) {
    process.stdout.write(
      '\nto test one: npm run board -- --port PATH [--board NAME]; docs/bench.md has the wiring and the firmware\n' +
        'without a board: node cli/dirql.ts sim arduino-uno --pty /tmp/uno, and then --port /tmp/uno\n',
    )
  }
  return code
}

function version(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}
