/** Debian's kernel, and those of its modules that make devices of USB devices: fetched once, kept beside the packages. */
import { execFileSync, type ExecFileSyncOptions, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const CACHE = fileURLToPath(new URL('../../node_modules/.cache/dirql-lab/', import.meta.url))
/** Changes when what is kept changes. */
const KEPT = 'kernel-2'
const PACKAGE = 'linux-image-amd64'
const MODULES = ['vhci-hcd', 'cdc-acm', 'ftdi_sio', 'cp210x', 'ch341', 'usbhid', 'hid-generic', 'hid-dr']
/** Below drivers/: where these are, and what they need (hid-dr shakes its gamepads: input/ff-memless). */
const FOLDERS = ['usb', 'hid', 'input']

export interface LabKernel {
  image: string
  /** In the order in which they are loaded. */
  modules: string[]
}

/** Whether it is here, or can be fetched. */
export function hasKernel(): boolean {
  if (existsSync(join(CACHE, KEPT))) return true
  try {
    return /Candidate: \d/.test(execFileSync('apt-cache', ['policy', PACKAGE], { encoding: 'utf8' }))
  } catch {
    return false
  }
}

export function labKernel(): LabKernel {
  const kept = join(CACHE, KEPT)
  if (!existsSync(kept)) fetchKernel(kept)
  const modules = readFileSync(join(kept, 'order'), 'utf8').split('\n')
  return { image: join(kept, 'vmlinux'), modules: modules.map((name) => join(kept, name)) }
}

function fetchKernel(kept: string): void {
  const work = join(CACHE, `fetch-${process.pid}`)
  rmSync(work, { recursive: true, force: true })
  mkdirSync(join(work, 'tree'), { recursive: true })
  try {
    unpack(work)
    const made = join(work, 'made')
    mkdirSync(made)
    const found = readdirSync(join(work, 'tree'), { recursive: true, encoding: 'utf8' })
    keepImage(join(work, 'tree', found.find((path) => path.startsWith('boot/vmlinuz-')) ?? ''), made)
    keepModules(new Map(found.filter(isModule).map((path) => [moduleName(path), join(work, 'tree', path)])), made)
    rmSync(kept, { recursive: true, force: true })
    renameSync(made, kept)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

const isModule = (path: string): boolean => path.endsWith('.ko')
/** Names of files and of dependencies differ in their hyphens. */
const moduleName = (path: string): string => path.replace(/^.*\/|\.ko$/g, '').replaceAll('-', '_')

/** The package itself is not installed: its scripts would build an initramfs for this machine. */
function unpack(work: string): void {
  const depends = execFileSync('apt-cache', ['depends', PACKAGE], { encoding: 'utf8' })
  const name = /Depends: (linux-image-\S+)/.exec(depends)?.[1]
  if (name === undefined) throw new Error(`apt-cache knows no package that ${PACKAGE} stands for`)
  const quiet: ExecFileSyncOptions = { cwd: work, stdio: ['ignore', 'ignore', 'pipe'] }
  execFileSync('apt-get', ['download', '-qq', '-o', 'APT::Sandbox::User=root', name], quiet)
  const wanted = FOLDERS.map((folder) => `'./lib/modules/*/kernel/drivers/${folder}/*'`).join(' ')
  const pipe = `dpkg-deb --fsys-tarfile ${name}_*.deb | tar -x -C tree --wildcards './boot/vmlinuz-*' ${wanted}`
  execFileSync('/bin/sh', ['-c', pipe], quiet)
}

const XZ = Buffer.of(0xfd, ...Buffer.from('7zXZ'), 0)

/** A bare kernel is entered at once; a compressed one would be unpacked at each boot, in the emulated processor. */
function keepImage(compressed: string, folder: string): void {
  const image = readFileSync(compressed)
  const at = image.indexOf(XZ)
  if (at < 0) throw new Error(`${compressed} holds nothing that xz has compressed`)
  // it stops at the end of its stream, so that the rest of what it is given finds no reader: that is no failure
  const options = { input: image.subarray(at), maxBuffer: 1 << 29 }
  const bare = spawnSync('xz', ['-dc', '--single-stream'], options).stdout
  if (bare.toString('latin1', 1, 4) !== 'ELF') throw new Error(`xz makes no kernel of ${compressed}`)
  writeFileSync(join(folder, 'vmlinux'), bare)
}

/** Each after those that it needs. */
function keepModules(paths: ReadonlyMap<string, string>, folder: string): void {
  const order: string[] = []
  const add = (name: string): void => {
    const path = paths.get(name)
    if (path === undefined || order.includes(name)) return // not there: built into the kernel
    const bytes = readFileSync(path)
    for (const needed of /\0depends=([^\0]*)/.exec(bytes.toString('latin1'))?.[1]?.split(',') ?? []) {
      add(moduleName(needed))
    }
    order.push(name)
    writeFileSync(join(folder, `${name}.ko`), bytes)
  }
  for (const name of MODULES) add(moduleName(name))
  writeFileSync(join(folder, 'order'), order.map((name) => `${name}.ko`).join('\n'))
}
