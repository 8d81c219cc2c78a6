/** Boards at a path of the operating system: serial ports and HID devices, real ones and simulated ones of others. */
import { hidCarrier, openBridge, serialCarrier } from '../hal/bridge.ts'
import { openHidBoard } from '../hal/hid.ts'
import { type Attached, discover } from '../hal/links/discovery.ts'
import type { SerialOptions } from '../hal/links/serial.ts'
import { randomWord } from '../hal/nonce.ts'
import { openText, openUart } from '../hal/uart.ts'
import type { World } from '../hal/world.ts'
import type { Attachment, OpenBoard } from './attach.ts'
import type { BoardFile } from './boardfile.ts'
import { fieldsOf, layoutsOf, patternsOf } from './boardplan.ts'
import { openControl } from './control.ts'
import { UsageError } from './errors.ts'

/** The board at `path`. */
export async function attachPath(file: BoardFile, path: string, world: World): Promise<Attachment> {
  return attachmentOf(file, path, null, world)
}

/** The board whose USB device has this serial number, wherever it is plugged in. */
export async function attachSerialNumber(file: BoardFile, serialNumber: string, world: World): Promise<Attachment> {
  const attachment = await attachmentOf(file, await pathOf(file, serialNumber), serialNumber, world)
  // pulled out and put in again it may have another path
  return { ...attachment, open: async () => open(file, await pathOf(file, serialNumber), world) }
}

async function pathOf(file: BoardFile, serialNumber: string): Promise<string> {
  const { devices, problems } = await discover()
  const kind = file.link?.kind ?? 'serial'
  const fitting = devices.filter((device) => isOnLink(file, device))
  const found = fitting.find((device) => device.serialNumber === serialNumber)
  if (found !== undefined) return found.path
  const present = fitting.filter((device) => device.serialNumber !== null)
  const list = present.map((device) => `${String(device.serialNumber)} at ${device.path}`).join(', ') || 'none'
  const trouble = problems.length > 0 ? ` (${problems.join('; ')})` : ''
  throw new UsageError(
    `no ${kind} device has the serial number ${serialNumber}; attached are: ${list}${trouble}. dirql list shows all`,
  )
}

/** Whether `device` has the link of such a board: a device may have several HID interfaces, told apart by their usages. */
function isOnLink({ link }: BoardFile, device: Attached): boolean {
  if (device.kind !== (link?.kind ?? 'serial')) return false
  if (device.kind !== 'hid' || link?.kind !== 'hid') return true
  const { usagePage = device.usagePage, usage = device.usage } = link
  return device.usagePage === usagePage && device.usage === usage
}

/** Whether `device` is such a board, by its file. */
export function recognises(file: BoardFile, device: Attached): boolean {
  if (!isOnLink(file, device)) return false
  const hex = (id: number | null): string | undefined => id?.toString(16).padStart(4, '0')
  return file.recognise.some(
    ({ vid, pid, serialNumber, manufacturer }) =>
      (vid === undefined || vid.toLowerCase() === hex(device.vendorId)) &&
      (pid === undefined || pid.toLowerCase() === hex(device.productId)) &&
      (serialNumber === undefined || serialNumber === device.serialNumber) &&
      (manufacturer === undefined || device.manufacturer?.toLowerCase().includes(manufacturer.toLowerCase()) === true),
  )
}

async function attachmentOf(
  file: BoardFile,
  path: string,
  serialNumber: string | null,
  world: World,
): Promise<Attachment> {
  const hands = await openControl(path)
  return {
    where: path,
    serialNumber,
    open: () => open(file, path, world),
    mayReturn: true,
    hands: hands && { ...handsOf(hands), feed: () => nobody() },
    fault: null,
    model: null,
    uno: null,
    port: null,
    ...(hands && { busReport: () => hands.report(), close: () => hands.close() }),
  }
}

function nobody(): never {
  throw new UsageError('this board runs its own firmware: nothing else can send for it')
}

type RemoteHands = NonNullable<Awaited<ReturnType<typeof openControl>>>

const handsOf = (hands: RemoteHands) => ({
  press: (pin: string) => hands.press(pin),
  release: (pin: string) => hands.release(pin),
  set: (sensor: string, value: number) => hands.set(sensor.endsWith('.temperature') ? 'temperature' : sensor, value),
  reset: () => hands.reset(),
})

function open(file: BoardFile, path: string, world: World): Promise<OpenBoard> {
  const layouts = layoutsOf(file)
  const [layout] = layouts
  const [entry] = file.devices
  if (layout === undefined || entry === undefined) throw new UsageError(`board ${file.name} has no device`)
  const now = (): number => world.now() / 10
  const { link, protocol } = file
  if (link?.kind === 'hid') {
    if (protocol === 'bridge') {
      const plan = { layouts, time: world, random: randomWord, baud: 0 }
      return openBridge(plan, hidCarrier(path, link.reportBytes))
    }
    return openHidBoard({ layout, path, fields: fieldsOf(entry), now })
  }
  const serial = serialOptions(path, link)
  if (protocol === 'uart') return openUart({ layout, serial, now })
  if (protocol === 'text') return openText({ layout, serial, now }, patternsOf(entry))
  if (protocol === undefined || protocol === 'bridge') {
    const plan = { layouts, time: world, random: randomWord, baud: serial.baudRate ?? 0 }
    return openBridge(plan, serialCarrier({ ...serial, lowLatency: true }))
  }
  throw new UsageError(`board ${file.name}: protocol ${protocol} needs a HID link`)
}

function serialOptions(path: string, link: BoardFile['link']): SerialOptions {
  if (link === undefined || link.kind === 'hid') return { path }
  const { baud, dataBits, stopBits, parity, flow, reset } = link
  return {
    path,
    baudRate: baud,
    dataBits: dataBits as 5 | 6 | 7 | 8,
    stopBits: stopBits as 1 | 2,
    parity,
    rtscts: flow === 'rts-cts',
    xonxoff: flow === 'xon-xoff',
    ...(reset ? {} : { reset: false }),
  }
}
