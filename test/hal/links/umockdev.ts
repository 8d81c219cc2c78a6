/** umockdev (Debian): device nodes without devices. A process that makes them, and one that lives among them. */
import { type ChildProcess, execFileSync, fork, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const PYTHON = '/usr/bin/python3'
const PRELOAD = 'libumockdev-preload.so.0'
const MAKER = fileURLToPath(new URL('./mockdevices.py', import.meta.url))

/** Why there are no mocked devices here; null if there are. */
export function noUmockdev(): string | null {
  if (process.platform !== 'linux') return 'umockdev is for Linux'
  try {
    execFileSync(
      PYTHON,
      ['-c', 'import gi; gi.require_version("UMockdev", "1.0"); from gi.repository import UMockdev'],
      {
        stdio: 'ignore',
      },
    )
    execFileSync('udevadm', ['--version'], { stdio: 'ignore' })
    return null
  } catch {
    return 'needs Debian packages: umockdev gir1.2-umockdev-1.0 python3-gi udev libusb-1.0-0'
  }
}

export interface MockRun {
  /** By title: null, or what went wrong. */
  results: Map<string, string | null>
  /** What the process among the devices printed, and how it ended. */
  output: string
}

/** Runs `program` among mocked devices, which it asks for by messages, until it ends. It tells results by title. */
export async function runMocked(program: string): Promise<MockRun> {
  const maker = spawn(PYTHON, [MAKER], { stdio: ['pipe', 'pipe', 'ignore'] })
  const lines = createInterface({ input: maker.stdout })[Symbol.asyncIterator]()
  try {
    const { root } = JSON.parse((await lines.next()).value ?? '{}') as { root: string }
    const child = fork(program, {
      execArgv: ['--no-warnings'],
      env: { ...process.env, LD_PRELOAD: PRELOAD, UMOCKDEV_DIR: root },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    })
    const relayed = relay(lines, child)
    const run = await follow(child, (request) => maker.stdin.write(`${JSON.stringify(request)}\n`))
    maker.stdin.end()
    await relayed
    return run
  } finally {
    maker.kill()
  }
}

async function relay(lines: AsyncIterator<string>, child: ChildProcess): Promise<void> {
  for (let line = await lines.next(); line.done !== true; line = await lines.next()) {
    if (child.connected) child.send(JSON.parse(line.value) as object)
  }
  if (child.connected) child.kill() // without devices it would wait for ever
}

async function follow(child: ChildProcess, ask: (request: object) => void): Promise<MockRun> {
  const results: MockRun['results'] = new Map()
  let output = ''
  child.stdout?.on('data', (text) => (output += text))
  child.stderr?.on('data', (text) => (output += text))
  child.on('message', (message: { title?: string; error: string | null }) => {
    if (message.title === undefined) ask(message)
    else results.set(message.title, message.error)
  })
  const code = await new Promise((resolve) => child.once('close', (status, signal) => resolve(status ?? signal)))
  return { results, output: `${output}it ended with ${String(code)}` }
}
