/** Why a device does not open: which program or permission is in the way, and what to do. Linux tells; others say less. */
import { accessSync, constants, existsSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs'
import { userInfo } from 'node:os'
import { devicePath } from './devicepath.ts'
import { LinkError } from './link.ts'

export interface Holder {
  pid: number
  program: string
}

/** The programs that have `path` open, as far as this user may see: files of other users' programs are hidden. */
export function holdersOf(path: string): Holder[] {
  if (process.platform !== 'linux' || !existsSync(path)) return []
  const device = devicePath(path)
  return entries('/proc')
    .filter((name) => /^\d+$/.test(name) && hasOpen(name, device))
    .map((name) => ({ pid: Number(name), program: programOf(name) }))
}

function entries(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return [] // the process ended meanwhile, or is another user's
  }
}

function hasOpen(process: string, device: string): boolean {
  const folder = `/proc/${process}/fd`
  return entries(folder).some((fd) => {
    try {
      return readlinkSync(`${folder}/${fd}`) === device
    } catch {
      return false
    }
  })
}

function programOf(process: string): string {
  try {
    return readFileSync(`/proc/${process}/comm`, 'utf8').trim()
  } catch {
    return 'a program that has just ended'
  }
}

/** Programs that are known to take serial ports that are not theirs. */
const KNOWN: Record<string, string> = {
  ModemManager: 'it probes new ports for modems: wait half a minute, or sudo systemctl stop ModemManager',
  brltty: 'it takes CH340 adapters for Braille displays: sudo apt-get remove brltty',
}

/** The error for a port that others hold. */
export function busyError(path: string, holders: readonly Holder[], cause?: unknown): LinkError {
  const options = cause === undefined ? undefined : { cause }
  const own = holders.some(({ pid }) => pid === process.pid)
  if (own) return new LinkError('busy', `${path} is open in this program already: close it there first`, options)
  if (holders.length === 0) {
    const look = process.platform === 'linux' ? `: sudo fuser -v ${path} shows which` : ''
    return new LinkError('busy', `${path} is in use by a program of another user${look}; end that program`, options)
  }
  const names = holders.map(({ pid, program }) => `${program} (process ${pid})`).join(', ')
  const known = holders.map(({ program }) => KNOWN[program]).find((hint) => hint !== undefined)
  return new LinkError('busy', `${path} is in use by ${names}: ${known ?? 'end that program'}`, options)
}

/** The error for a device that this user may not open. */
export function forbiddenError(path: string, cause?: unknown): LinkError {
  const options = cause === undefined ? undefined : { cause }
  const start = `${path} may not be opened by ${userInfo().username}`
  if (process.platform !== 'linux' || !existsSync(path)) {
    return new LinkError('forbidden', `${start}: change the device's permissions`, options)
  }
  const { mode, gid } = statSync(path)
  const rights = `it has mode ${(mode & 0o777).toString(8).padStart(4, '0')} and group ${groupName(gid)}`
  const remedy = path.includes('hidraw') || (mode & 0o060) !== 0o060 ? ruleFor(path) : joinGroup(gid)
  return new LinkError('forbidden', `${start}: ${rights}. ${remedy}`, options)
}

const joinGroup = (gid: number): string =>
  process.getgroups?.().includes(gid)
    ? 'This user is in that group: something else forbids it (a container, a sandbox?)'
    : `sudo usermod -aG ${groupName(gid)} ${userInfo().username}, then log in again`

/** What lets the user at the screen open a device that udev leaves to root. */
function ruleFor(path: string): string {
  const subsystem = path.includes('hidraw') ? 'hidraw' : 'tty'
  const rule = `SUBSYSTEM=="${subsystem}", KERNEL=="${path.replace(/^.*\//, '').replace(/\d+$/, '*')}", TAG+="uaccess"`
  return `Put the line ${rule} into /etc/udev/rules.d/70-dirql.rules, run sudo udevadm control --reload, and plug the device in again`
}

function groupName(gid: number): string {
  const line = groups().find((entry) => entry.split(':')[2] === String(gid))
  return line?.split(':')[0] ?? String(gid)
}

function groups(): string[] {
  try {
    return readFileSync('/etc/group', 'utf8').split('\n')
  } catch {
    return []
  }
}

/** The error for a device that is not there; `present` are those that are. */
export function missingError(path: string, present: readonly string[], cause?: unknown): LinkError {
  const list = present.length === 0 ? 'none is attached' : `attached: ${present.join(', ')}`
  const options = cause === undefined ? undefined : { cause }
  return new LinkError('missing', `there is no ${path}; ${list}. Plug the board in, or give another path`, options)
}

/** Makes a link's error of what a native package said when it could not open `path`. */
export function openError(path: string, cause: unknown, present: readonly string[]): LinkError {
  const text = cause instanceof Error ? cause.message : String(cause)
  if (/No such (?:file|device)|File not found|ENOENT|ENODEV|ENXIO/i.test(text) || !isThere(path)) {
    return missingError(path, present, cause)
  }
  if (/Permission denied|Operation not permitted|EACCES|EPERM/i.test(text) || !isAllowed(path)) {
    return forbiddenError(path, cause)
  }
  if (/Cannot lock port|busy|temporarily unavailable|Access (?:is )?denied/i.test(text)) {
    return busyError(path, holdersOf(path), cause)
  }
  if (/Inappropriate ioctl|Not a typewriter|ENOTTY/i.test(text)) {
    return new LinkError('unsupported', `${path} is no serial port`, { cause })
  }
  return new LinkError('failed', `${path} does not open: ${text}`, { cause })
}

function isAllowed(path: string): boolean {
  if (!path.startsWith('/')) return true
  try {
    accessSync(path, constants.R_OK | constants.W_OK)
    return true
  } catch {
    return false
  }
}

const isThere = (path: string): boolean => !path.startsWith('/') || existsSync(path)
