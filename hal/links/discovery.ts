/** What is attached: serial ports and HID devices, for `dirql list` and for the recognition of boards. */
import { existsSync, readdirSync } from 'node:fs'
import { devicePath } from './devicepath.ts'
import { loadNodeHid } from './hid.ts'
import { latencyTimerMs } from './latency.ts'
import { LinkError } from './link.ts'
import { countedLines, driverOf, exposedLines, type ModemLine } from './modemlines.ts'
import { native } from './native.ts'

export interface AttachedBase {
  path: string
  vendorId: number | null
  productId: number | null
  serialNumber: string | null
  manufacturer: string | null
}

export interface AttachedPort extends AttachedBase {
  kind: 'serial'
  /** A path that stays the same: by the device's serial number. */
  stablePath: string | null
  /** The kernel's driver. */
  driver: string | null
  /** The modem lines that driver and system pass on, and those whose changes are counted. */
  modem: { lines: readonly ModemLine[]; counted: readonly ModemLine[] }
  latencyTimerMs: number | null
}

export interface AttachedHid extends AttachedBase {
  kind: 'hid'
  product: string | null
  usagePage: number | null
  usage: number | null
  interface: number | null
}

export type Attached = AttachedPort | AttachedHid

export interface Discovery {
  devices: Attached[]
  /** What could not be looked for, why, and what to do. */
  problems: string[]
}

/** Looks for everything. What cannot be looked for is a problem in the answer, not a failure. */
export async function discover(): Promise<Discovery> {
  const found = await Promise.allSettled([listSerial(), listHid()])
  return {
    devices: found.flatMap<Attached>((one) => (one.status === 'fulfilled' ? one.value : [])),
    problems: found.flatMap((one) => (one.status === 'rejected' ? [(one.reason as Error).message] : [])),
  }
}

export async function listSerial(): Promise<AttachedPort[]> {
  const { SerialPort } = await native('serialport', () => import('serialport'))
  let ports: Awaited<ReturnType<typeof SerialPort.list>>
  try {
    ports = await SerialPort.list()
  } catch (cause) {
    throw listError(cause)
  }
  const counts = await canCount()
  return ports.map(({ path, vendorId, productId, serialNumber, manufacturer }) => ({
    kind: 'serial',
    path,
    stablePath: stablePathOf(path),
    vendorId: idOf(vendorId),
    productId: idOf(productId),
    serialNumber: serialNumber ?? null,
    manufacturer: manufacturer ?? null,
    driver: driverOf(path),
    modem: counts
      ? { lines: exposedLines(path), counted: countedLines(path) }
      : { lines: ['cts', 'dsr', 'dcd'], counted: [] },
    latencyTimerMs: latencyTimerMs(path),
  }))
}

function listError(cause: unknown): LinkError {
  const text = (cause as Error).message
  if (/udevadm/.test(text)) {
    const remedy = 'sudo apt-get install udev, or give the path of the port'
    return new LinkError('package', `serial ports cannot be listed without the program udevadm: ${remedy}`, { cause })
  }
  return new LinkError('failed', `serial ports cannot be listed: ${text}`, { cause })
}

/** Whether the counts of a driver that counts can be read. */
async function canCount(): Promise<boolean> {
  if (process.platform !== 'linux') return false
  return await import('koffi').then(
    () => true,
    () => false,
  )
}

const BY_ID = '/dev/serial/by-id'

function stablePathOf(path: string): string | null {
  if (!existsSync(BY_ID)) return null
  const name = readdirSync(BY_ID).find((link) => devicePath(`${BY_ID}/${link}`) === path)
  return name === undefined ? null : `${BY_ID}/${name}`
}

const idOf = (hex: string | undefined): number | null => (hex === undefined ? null : Number.parseInt(hex, 16))

export async function listHid(): Promise<AttachedHid[]> {
  const { devicesAsync } = await loadNodeHid()
  return (await devicesAsync()).map((device) => ({
    kind: 'hid',
    path: device.path ?? '',
    vendorId: device.vendorId,
    productId: device.productId,
    serialNumber: device.serialNumber || null,
    manufacturer: device.manufacturer || null,
    product: device.product || null,
    usagePage: device.usagePage ?? null,
    usage: device.usage ?? null,
    interface: device.interface < 0 ? null : device.interface,
  }))
}
