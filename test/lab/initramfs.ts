/** The files of the small machine, as the archive that its kernel unpacks at boot (cpio, "newc"). */
import { execFileSync } from 'node:child_process'
import { closeSync, existsSync, lstatSync, openSync, readdirSync, readFileSync, readlinkSync, writeSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { LabKernel } from './kernel.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const ROOMS = [
  'base',
  'boards',
  'classes',
  'cli',
  'ddi',
  'drivers',
  'firmware-sim',
  'hal',
  'kernel',
  'machine',
  'test',
  'wire',
]
const BUSYBOX = '/bin/busybox'
/** What `SerialPort.list()` and node-hid ask about devices. */
const UDEV = ['/lib/systemd/systemd-udevd', '/bin/udevadm']
const UDEV_RULES = ['50-udev-default.rules', '60-serial.rules', '80-drivers.rules']

const S_IFDIR = 0o040000
const S_IFREG = 0o100000
const S_IFLNK = 0o120000

class Archive {
  readonly #file: number
  readonly #folders = new Set<string>([''])
  readonly #paths = new Set<string>()
  #inode = 1

  constructor(path: string) {
    this.#file = openSync(path, 'w')
  }

  text(path: string, text: string, mode = 0o644): void {
    this.#add(path, S_IFREG | mode, Buffer.from(text))
  }

  /** A file of this machine; at the same path if no other is given. */
  file(source: string, path = source): void {
    if (!this.#paths.has(path)) this.#add(path, S_IFREG | 0o755, readFileSync(source))
  }

  link(path: string, target: string): void {
    this.#add(path, S_IFLNK | 0o777, Buffer.from(target))
  }

  folder(path: string): void {
    if (path === '/' || path === '.' || this.#folders.has(path)) return
    this.folder(dirname(path))
    this.#folders.add(path)
    this.#write(path, S_IFDIR | 0o755, Buffer.alloc(0))
  }

  /** A folder of this machine with all below it that is wanted. */
  tree(source: string, path: string, isWanted: (path: string) => boolean): void {
    for (const entry of readdirSync(source)) {
      const from = join(source, entry)
      if (!isWanted(from)) continue
      const stat = lstatSync(from)
      if (stat.isDirectory()) this.tree(from, join(path, entry), isWanted)
      else if (stat.isSymbolicLink()) this.link(join(path, entry), readlinkSync(from))
      else if (stat.isFile()) this.file(from, join(path, entry))
    }
  }

  close(): void {
    this.#write('TRAILER!!!', 0, Buffer.alloc(0))
    closeSync(this.#file)
  }

  #add(path: string, mode: number, bytes: Buffer): void {
    this.folder(dirname(path))
    this.#paths.add(path)
    this.#write(path, mode, bytes)
  }

  /** Thirteen numbers of eight digits, the name with a zero, the bytes; each part filled up to four. */
  #write(path: string, mode: number, bytes: Buffer): void {
    const name = Buffer.from(`${path.replace(/^\//, '')}\0`)
    const numbers = [this.#inode++, mode, 0, 0, 1, 0, bytes.length, 0, 0, 0, 0, name.length, 0]
    const head = `070701${numbers.map((number) => number.toString(16).padStart(8, '0')).join('')}`
    for (const part of [Buffer.concat([Buffer.from(head), name]), bytes]) {
      writeSync(this.#file, part)
      writeSync(this.#file, Buffer.alloc(-part.length & 3))
    }
  }
}

/** Builds it at `path`; the machine loads the kernel's modules and runs `program`, a path below the project. */
export function buildInitramfs(path: string, kernel: LabKernel, program: string): void {
  const archive = new Archive(path)
  for (const folder of ['/proc', '/sys', '/dev', '/run', '/tmp']) archive.folder(folder)
  archive.text('/init', initScript(kernel, program), 0o755)
  archive.file(BUSYBOX)
  archive.link('/bin/sh', 'busybox')
  for (const module of kernel.modules) archive.file(module, `/modules/${basename(module)}`)
  addPrograms(archive)
  addProject(archive)
  archive.close()
}

/** Programs with the libraries that they load. */
function addPrograms(archive: Archive): void {
  archive.file(process.execPath, '/bin/node')
  for (const program of UDEV) archive.file(program)
  for (const rules of UDEV_RULES) archive.file(`/lib/udev/rules.d/${rules}`)
  for (const file of ['/etc/passwd', '/etc/group']) archive.file(file)
  for (const file of [process.execPath, ...UDEV]) addLibraries(archive, file)
}

function addLibraries(archive: Archive, file: string): void {
  const found = execFileSync('ldd', [file], { encoding: 'utf8' })
  for (const [, library] of found.matchAll(/(\/\S+) \(0x/g)) archive.file(library as string)
}

function addProject(archive: Archive): void {
  for (const room of ROOMS) addRoom(archive, room)
  const manifest = readFileSync(join(ROOT, 'package.json'), 'utf8')
  archive.text('/app/package.json', manifest.replaceAll('.ts"', '.js"'))
  const own = JSON.parse(manifest) as Manifest
  for (const name of closure([
    ...Object.keys(own.dependencies ?? {}),
    ...Object.keys(own.optionalDependencies ?? {}),
  ])) {
    archive.tree(join(ROOT, 'node_modules', name), `/app/node_modules/${name}`, (path) => {
      if (path.endsWith('.node') && isForHere(path)) addLibraries(archive, path)
      return isForHere(path) && !/\/(?:hidapi|android|binding\.gyp)$/.test(path)
    })
  }
}

/** As JavaScript: types are stripped here, at ten times the speed. */
function addRoom(archive: Archive, room: string): void {
  for (const path of readdirSync(join(ROOT, room), { recursive: true, encoding: 'utf8' })) {
    if (path.includes('node_modules') || !/\.(?:ts|json|hex)$/.test(path)) continue
    const source = join(ROOT, room, path)
    if (!path.endsWith('.ts')) archive.file(source, `/app/${room}/${path}`)
    else archive.text(`/app/${room}/${path.slice(0, -2)}js`, toJavaScript(readFileSync(source, 'utf8')))
  }
}

const toJavaScript = (source: string): string =>
  stripTypeScriptTypes(source).replace(/((?:\bfrom|\bimport)\s*\(?\s*'\.{1,2}\/[^']*\.)ts'/g, "$1js'")

/** Native parts come for many systems. */
const isForHere = (path: string): boolean =>
  !/\/prebuilds\/[^/]+/.test(path) || (/\/prebuilds\/[^/]*linux-x64/.test(path) && !/musl/.test(path))

interface Manifest {
  dependencies?: Record<string, string>
  optionalDependencies?: Record<string, string>
}

/** `names` with all that they depend on, as far as it is installed. */
function closure(names: readonly string[]): Set<string> {
  const all = new Set<string>()
  const add = (name: string): void => {
    const manifest = join(ROOT, 'node_modules', name, 'package.json')
    if (all.has(name) || !existsSync(manifest)) return
    all.add(name)
    const { dependencies, optionalDependencies } = JSON.parse(readFileSync(manifest, 'utf8')) as Manifest
    for (const needed of Object.keys({ ...dependencies, ...optionalDependencies })) add(needed)
  }
  for (const name of names) add(name)
  return all
}

/** A hub that sleeps as soon as nothing is plugged in takes long to wake up. */
const OPTIONS: Record<string, string> = { 'usbcore.ko': 'autosuspend=-1' }
const insert = (module: string): string => `$b insmod /modules/${module} ${OPTIONS[module] ?? ''}`

/**
 * The second serial port is for results alone: the kernel writes to the first when it likes, and all that it said when
 * the program has failed. The quirks of a port are to reset a device once, not twice, and to wait no longer behind it than
 * the standard says. Programs are not compiled: that would cost the emulated processor more than it brings.
 */
const initScript = ({ modules }: LabKernel, program: string): string => `#!/bin/sh
export PATH=/bin HOME=/tmp NO_COLOR=1 NODE_OPTIONS=--jitless LINK_PATIENCE_MS=90000 LINK_MUCH_BYTES=100000
b=/bin/busybox
$b mount -t proc proc /proc
$b mount -t sysfs sysfs /sys
$b mount -t devtmpfs dev /dev
$b mkdir -p /dev/pts /dev/shm
$b mount -t devpts devpts /dev/pts
$b mount -t tmpfs run /run
$b stty -F /dev/ttyS1 raw -echo
${modules.map((module) => insert(basename(module))).join('\n')}
for port in /sys/devices/platform/vhci_hcd.0/usb*/*/usb*-port*/quirks; do echo 3 > $port; done
cd /app
echo "up after $($b cut -d' ' -f1 /proc/uptime) s"
/bin/node --no-warnings ${program} > /dev/ttyS1
status=$?
[ $status = 0 ] || $b dmesg | $b grep -v 'vhci_hcd: .*\\(urb\\|unlink\\)' > /dev/ttyS0
echo "it ended with $status" > /dev/ttyS1
$b poweroff -f
`
