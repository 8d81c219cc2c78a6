/**
 * Plugs a device of ours into this machine's Linux kernel, through the virtual host controller vhci_hcd: the client of
 * USB/IP, which speaks to its devices over a socket that it is given. Needs root.
 *
 * Who serves a device must not wait for the same device: a call that the kernel answers only when the device has
 * answered would wait for ever. So a program that opens it is another process.
 */
import { spawn } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import type { Socket } from 'node:net'
import type { UsbDevice } from './device.ts'
import { RequestStream } from './usbip.ts'

const CONTROLLER = '/sys/devices/platform/vhci_hcd.0'
const FULL_SPEED = 2
/** A port that nothing is attached to (enum usbip_device_status). */
const PORT_FREE = '004'

export class VhciError extends Error {
  override readonly name = 'VhciError'
}

/** Whether the kernel has its module loaded. */
export const hasVhci = (): boolean => existsSync(CONTROLLER)

export interface Plugged {
  /** Where the kernel keeps what it makes of the device (sysfs.ts). */
  readonly place: string
  /** Pulls the device out, and is done when no driver has it any more; a second call does nothing. */
  unplug(): Promise<void>
}

/** Plugs `device` in. `gone` is told once, when the kernel has let go of it, also after `unplug`. */
export async function plugIn(device: UsbDevice, gone: (error: Error | null) => void = () => {}): Promise<Plugged> {
  const tried = new Set<number>()
  let reason = 'none is free: unplug another simulated device'
  for (;;) {
    const port = freePorts().find((free) => !tried.has(free))
    if (port === undefined) throw new VhciError(`no port of ${CONTROLLER} takes the device: ${reason}`)
    tried.add(port)
    const { socket, refused } = offer(port)
    const served = serve(device, socket)
    const refusal = await refused
    if (refusal === null) {
      void served.then(gone)
      return { place: placeOf(port), unplug: () => pull(port, socket) }
    }
    socket.destroy()
    reason = refusal // another program may have been faster: the next port
  }
}

/**
 * Ports that nothing is attached to, and that the hub knows no device at: it needs a moment more than the controller.
 * Lines of the status file: hub, port, status, speed, device, socket, bus id.
 */
function freePorts(): number[] {
  const lines = readFileSync(`${CONTROLLER}/status`, 'utf8').split('\n')
  return lines
    .map((line) => line.trim().split(/\s+/))
    .filter(([hub, , status]) => hub === 'hs' && status === PORT_FREE)
    .map(([, port]) => Number(port))
    .filter((port) => !existsSync(placeOf(port)))
}

/**
 * A bus ends at once what is under way to a device that is pulled out. This controller lets it wait for its time limit,
 * of seconds: so the hub's port is switched off first, and the device answers until its drivers have let go of it.
 */
async function pull(port: number, socket: Socket): Promise<void> {
  if (socket.destroyed) return
  const closed = new Promise((resolve) => socket.once('close', resolve))
  // where there is no such file (Linux before 6.0), drivers learn it the slow way
  for (const isOff of ['1', '0']) await writeFile(`${hubPort(port)}/disable`, isOff).catch(() => {})
  socket.destroy()
  await closed
}

/** The controller has two root hubs; the one for devices up to high speed comes first. */
function busOf(): number {
  const buses = readdirSync(CONTROLLER).flatMap((name) => /^usb(\d+)$/.exec(name)?.[1] ?? [])
  return Math.min(...buses.map(Number))
}

const placeOf = (port: number): string => `/sys/bus/usb/devices/${busOf()}-${port + 1}`

function hubPort(port: number): string {
  const bus = busOf()
  return `${CONTROLLER}/usb${bus}/${bus}-0:1.0/usb${bus}-port${port + 1}`
}

/**
 * The kernel takes one end of a stream socket, by its number in the process that writes to `attach`. A child's pipes are
 * such sockets: a shell has one end as its file 3 and hands it over, the other end stays here.
 */
function offer(port: number): { socket: Socket; refused: Promise<string | null> } {
  const order = `${port} 3 ${0x10001 + port} ${FULL_SPEED}`
  const shell = spawn('/bin/sh', ['-c', 'echo "$1" > "$0"', `${CONTROLLER}/attach`, order], {
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
  })
  let said = ''
  shell.stderr?.on('data', (text: Buffer) => (said += text.toString()))
  const refused = new Promise<string | null>((resolve) => {
    shell.once('error', (error) => resolve(error.message))
    shell.once('exit', (status) => resolve(status === 0 ? null : said.trim() || `sh ended with ${status}`))
  })
  return { socket: shell.stdio[3] as unknown as Socket, refused }
}

/** Answers what comes over `socket`, until it is closed: with the failure that closed it, if there was one. */
function serve(device: UsbDevice, socket: Socket): Promise<Error | null> {
  const stream = new RequestStream()
  let failure: Error | null = null
  device.onReply = (bytes) => void (socket.destroyed || socket.write(bytes))
  socket.on('data', (bytes: Buffer) => {
    try {
      for (const request of stream.push(bytes)) device.take(request)
    } catch (error) {
      failure = error as Error
      socket.destroy()
    }
  })
  socket.on('error', () => {}) // the kernel let go while an answer was under way: 'close' follows
  return new Promise((resolve) => socket.once('close', () => resolve(failure)))
}
