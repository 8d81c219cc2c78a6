/** `dirql doctor`: what is in the way of boards on this machine, and what to do about each. */
import { accessSync, constants, existsSync, readdirSync, readFileSync } from 'node:fs'
import { release } from 'node:os'
import { forbiddenError } from '../../hal/links/access.ts'
import { discover } from '../../hal/links/discovery.ts'
import { ExitCode } from '../exitcodes.ts'

type State = 'ok' | 'note' | 'problem'

interface Finding {
  check: string
  state: State
  found: string
  /** What to do; '' where nothing is to be done. */
  remedy: string
}

const LEAST_NODE = 24

/** Exit code 0 when nothing is in the way, 3 when something is. */
export async function doctor(json: boolean): Promise<number> {
  const findings = [
    node(),
    await optional('koffi', 'edges of modem lines are counted', 'they are sampled', 'npm install koffi'),
    await optional('@lydell/node-pty', 'simulated boards on a PTY', 'there are none', 'npm install @lydell/node-pty'),
    ...(await devices()),
    ...ports(),
    modemManager(),
    virtualUsb(),
  ]
  if (json) process.stdout.write(`${JSON.stringify({ findings })}\n`)
  else for (const finding of findings) print(finding)
  return findings.some(({ state }) => state === 'problem') ? ExitCode.NoBoard : ExitCode.Held
}

const MARK: Record<State, string> = { ok: '✓', note: '·', problem: '✗' }

function print({ check, state, found, remedy }: Finding): void {
  process.stdout.write(`${MARK[state]} ${check}: ${found}\n${remedy === '' ? '' : `    ${remedy}\n`}`)
}

function node(): Finding {
  const major = Number(process.versions.node.split('.')[0])
  const isNew = major >= LEAST_NODE
  return {
    check: 'Node',
    state: isNew ? 'ok' : 'problem',
    found: `${process.version} on ${process.platform} ${release()}`,
    remedy: isNew ? '' : `dirql needs Node ${LEAST_NODE} or newer`,
  }
}

async function optional(name: string, gives: string, lack: string, remedy: string): Promise<Finding> {
  try {
    await import(name)
    return { check: name, state: 'ok', found: gives, remedy: '' }
  } catch {
    return { check: name, state: 'note', found: `does not load: ${lack}`, remedy }
  }
}

/** What serialport and node-hid find, or why they cannot look. */
async function devices(): Promise<Finding[]> {
  const { devices: attached, problems } = await discover()
  const serial = attached.filter(({ kind }) => kind === 'serial').length
  const found = `${serial} serial port${serial === 1 ? '' : 's'}, ${attached.length - serial} HID devices (dirql list)`
  return [
    { check: 'devices', state: attached.length > 0 ? 'ok' : 'note', found, remedy: '' },
    ...problems.map((problem): Finding => {
      const [what = problem, ...remedy] = problem.split(': ')
      return { check: 'devices', state: 'problem', found: what, remedy: remedy.join(': ') }
    }),
  ]
}

/** Device nodes of boards that this user may not open. */
function ports(): Finding[] {
  if (process.platform !== 'linux') return []
  const nodes = readdirSync('/dev').filter((name) => /^(?:ttyACM|ttyUSB|hidraw)\d+$/.test(name))
  return nodes.map((name): Finding => {
    const path = `/dev/${name}`
    try {
      accessSync(path, constants.R_OK | constants.W_OK)
      return { check: path, state: 'ok', found: 'may be opened', remedy: '' }
    } catch (error) {
      const [found = '', ...remedy] = forbiddenError(path, error).message.split('. ')
      return { check: path, state: 'problem', found, remedy: remedy.join('. ') }
    }
  })
}

function modemManager(): Finding {
  const isRunning = processNames().includes('ModemManager')
  return {
    check: 'ModemManager',
    state: isRunning ? 'problem' : 'ok',
    found: isRunning ? 'runs, and writes to new serial ports for half a minute' : 'does not run',
    remedy: isRunning
      ? 'sudo systemctl disable --now ModemManager, or a udev rule with ENV{ID_MM_DEVICE_IGNORE}="1"'
      : '',
  }
}

function processNames(): string[] {
  if (process.platform !== 'linux') return []
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => {
      try {
        return readFileSync(`/proc/${name}/comm`, 'utf8').trim()
      } catch {
        return '' // it has ended meanwhile
      }
    })
}

/** Whether simulated boards can be USB devices here. */
function virtualUsb(): Finding {
  const check = 'virtual USB'
  if (process.platform !== 'linux') return { check, state: 'note', found: 'Linux only', remedy: '' }
  if (existsSync('/sys/devices/platform/vhci_hcd.0'))
    return { check, state: 'ok', found: 'vhci-hcd is loaded', remedy: '' }
  return {
    check,
    state: 'note',
    found: 'vhci-hcd is not loaded: dirql sim --usb needs it',
    remedy: 'sudo modprobe vhci-hcd',
  }
}
