/** A small machine in QEMU, with Debian's kernel and our programs. Emulated: its speed is a tenth of this one's. */
import { execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { buildInitramfs } from './initramfs.ts'
import { hasKernel, labKernel } from './kernel.ts'

const QEMU = 'qemu-system-x86_64'
/** What V8 uses and no more: emulated, `max` takes a quarter more time. */
const CPU = 'qemu64,+cx16,+ssse3,+sse4.1,+sse4.2,+popcnt,+rdrand'

/**
 * Only its own errors go to the console at once. The time stamp counter is taken for what it is: read from a device, as
 * it is otherwise, the time costs a program that looks at it often half of its speed.
 */
const KERNEL_OPTIONS = [
  ...['console=ttyS0', 'loglevel=3', 'panic=-1', 'nowatchdog', 'random.trust_cpu=on', 'tsc=reliable'],
  ...['mitigations=off', 'init_on_alloc=0', 'apparmor=0', 'audit=0', 'transparent_hugepage=always', 'log_buf_len=4M'],
]

/** Why there is no such machine here; null if there is one. */
export function noVm(): string | null {
  if (process.platform !== 'linux' || process.arch !== 'x64') return 'the small machine is built on Linux for x64'
  const needs = 'needs Debian packages: qemu-system-x86 busybox-static udev xz-utils libusb-1.0-0'
  try {
    execFileSync(QEMU, ['--version'], { stdio: 'ignore' })
    execFileSync('xz', ['--version'], { stdio: 'ignore' })
  } catch {
    return needs
  }
  if (!existsSync('/bin/busybox') || !existsSync('/bin/udevadm')) return needs
  return hasKernel() ? null : 'Debian has to be asked for its kernel: apt-get update'
}

export interface VmRun {
  /** What the program printed, a JSON value a line. */
  results: object[]
  /** What the kernel said; all of it where the program has failed. */
  console: string
  /** What else was printed, and how QEMU ended. */
  output: string
}

/** Runs `program`, a path below the project, until it ends. Never with KVM: nested, it may look as if it worked. */
export async function runInVm(program: string, limitMs: number): Promise<VmRun> {
  const kernel = labKernel()
  const folder = mkdtempSync(join(tmpdir(), 'dirql-lab-'))
  try {
    const initramfs = join(folder, 'initramfs')
    const console = join(folder, 'console')
    buildInitramfs(initramfs, kernel, program)
    const { lines, ended } = await runQemu(kernel.image, initramfs, console, limitMs)
    const said = existsSync(console) ? readFileSync(console, 'utf8').replaceAll('\r', '') : ''
    const results = lines.filter(isWhole).map((line) => JSON.parse(line) as object)
    const rest = lines.filter((line) => !isWhole(line))
    return { results, console: said, output: [...rest, ended].join('\n') }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** A machine that was ended may have been in the middle of a line. */
const isWhole = (line: string): boolean => line.startsWith('{') && line.endsWith('}')

async function runQemu(
  kernel: string,
  initramfs: string,
  console: string,
  limitMs: number,
): Promise<{ lines: string[]; ended: string }> {
  const options = [
    ...['-M', 'q35,i8042=off', '-accel', 'tcg,thread=multi,tb-size=512', '-cpu', CPU, '-smp', '2', '-m', '2048'],
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot'],
    ...['-kernel', kernel, '-initrd', initramfs],
    ...['-append', KERNEL_OPTIONS.join(' ')],
    ...['-serial', `file:${console}`, '-chardev', 'stdio,id=results,signal=off', '-serial', 'chardev:results'],
  ]
  const qemu = spawn(QEMU, options, { stdio: ['ignore', 'pipe', 'pipe'] })
  const lines: string[] = []
  let complaints = ''
  const limit = setTimeout(() => {
    complaints += `it was not done within ${limitMs / 1000} s\n`
    qemu.kill('SIGKILL')
  }, limitMs)
  createInterface({ input: qemu.stdout }).on('line', (line) => lines.push(line.trim()))
  qemu.stderr.on('data', (text: Buffer) => (complaints += text.toString()))
  const status = await new Promise((resolve) => qemu.once('close', (code, signal) => resolve(code ?? signal)))
  clearTimeout(limit)
  return { lines, ended: `${complaints}QEMU ended with ${String(status)}` }
}
