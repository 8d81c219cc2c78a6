/** `dirql sim BOARD --usb`: the emulated board as a USB device of this machine. */
import { readFileSync } from 'node:fs'
import { AcmDevice } from '../../firmware-sim/usb/acm.ts'
import { isAttached, nodeOf } from '../../firmware-sim/usb/sysfs.ts'
import { hasVhci, plugIn } from '../../firmware-sim/usb/vhci.ts'
import { LinkError } from '../../hal/links/link.ts'
import { sleepMs } from '../../hal/timers.ts'
import { serveControl } from '../../machine/control.ts'
import { UsageError } from '../../machine/errors.ts'
import { UnoOnRealClock } from '../../machine/uno.ts'
import { ExitCode } from '../exitcodes.ts'
import { Interruption } from '../interrupted.ts'

const BOARD = 'arduino-uno'
const IMAGE = `../../boards/${BOARD}/firmware/uno.hex`
/** What the adapter of a board keeps for a program that is slow to read. */
const MOST_UNSENT = 64 * 1024
/** The kernel asks a new device many questions; its driver may have to be loaded. */
const LONGEST_MS = 20_000
const LOOK_MS = 50

/** This process serves the device: it makes no call that waits for the device, for it would wait for its own answer. */
export async function simUsb(board: string, seconds: number | undefined): Promise<number> {
  refuse(board)
  const uno = new UnoOnRealClock({ firmware: readFileSync(new URL(IMAGE, import.meta.url), 'latin1') })
  try {
    return await serve(uno, seconds)
  } finally {
    await uno.powerOff()
  }
}

function refuse(board: string): void {
  if (board !== BOARD) throw new UsageError(`'${board}' is no USB device; the board that can be one: ${BOARD}`)
  if (process.platform !== 'linux') {
    throw new UsageError('simulated USB devices are for Linux, with its module vhci-hcd; elsewhere use --pty')
  }
  if (!hasVhci()) {
    const remedy = 'sudo modprobe vhci-hcd (Ubuntu has it in linux-modules-extra-$(uname -r)), or use --pty'
    throw new LinkError('missing', `the kernel has no virtual USB controller: ${remedy}`)
  }
  if (process.getuid?.() !== 0) {
    throw new LinkError('forbidden', 'only root may plug a simulated device in: run it with sudo, or use --pty')
  }
}

async function serve(uno: UnoOnRealClock, seconds: number | undefined): Promise<number> {
  using interruption = new Interruption(seconds)
  const serialNumber = `SIM${process.pid}`
  const device = new AcmDevice({ serialNumber })
  const lost = connect(uno, device)
  const plugged = await plugIn(device)
  try {
    const path = await nodeAt(plugged.place)
    const control = await serveControl(path, uno)
    process.stdout.write(
      `${BOARD} (emulated, real firmware) at ${path}, USB serial number ${serialNumber}\n` +
        `try: npm start -- --port ${path}\n` +
        `hands: lines of JSON to ${control.path}, such as {"do":"press","pin":"button"}\n`,
    )
    await interruption.happened
    await control.close()
    const { transactions, mixedTransactions } = await uno.report()
    const unread = lost() > 0 ? `; ${lost()} bytes found no reader` : ''
    process.stdout.write(`${transactions} transactions on the bus, ${mixedTransactions} sequences cut into${unread}\n`)
    return ExitCode.Held
  } finally {
    await plugged.unplug()
  }
}

/** As on the real board: it is reset when DTR rises, and what it says while no program has its port open is lost. */
function connect(uno: UnoOnRealClock, device: AcmDevice): () => number {
  let lost = 0
  let wasOpen = false
  device.onData = (bytes) => uno.write(bytes)
  device.onLines = ({ dtr }) => {
    if (dtr && !wasOpen) uno.reset()
    wasOpen = dtr
  }
  uno.onData = (bytes) => {
    if (wasOpen && device.unsent + bytes.length <= MOST_UNSENT) device.send(bytes)
    else lost += bytes.length
  }
  return () => lost
}

async function nodeAt(place: string): Promise<string> {
  for (let waited = 0; waited < LONGEST_MS; waited += LOOK_MS) {
    const path = nodeOf(place)
    if (path !== null) return path
    await sleepMs(LOOK_MS)
  }
  const why = isAttached(place)
    ? 'the kernel sees the device and has no driver for it: sudo modprobe cdc-acm'
    : 'the kernel did not accept the device: dmesg says why'
  throw new LinkError('failed', `there is no port of the simulated board: ${why}`)
}
