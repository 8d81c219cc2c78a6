/**
 * The process that waits for the modem lines of one port (modem.ts). Its parent ends it with SIGKILL; so does it itself
 * when the parent is gone, for nothing else ends a wait that is under way.
 */
import { constants, openSync } from 'node:fs'
import type { LineSettings, ModemReport } from './modem.ts'

/** Linux, asm-generic/ioctls.h and termios.h. */
const TIOCMGET = 0x5415
const TIOCMBIS = 0x5416
const TIOCMBIC = 0x5417
const TIOCSBRK = 0x5427
const TIOCCBRK = 0x5428
const TIOCMIWAIT = 0x545c
const TIOCGICOUNT = 0x545d
const TIOCM_DTR = 0x002
const TIOCM_RTS = 0x004
const TIOCM_CTS = 0x020
const TIOCM_DCD = 0x040
const TIOCM_RI = 0x080
const TIOCM_DSR = 0x100
/** In the order of MODEM_LINES. */
const BITS = [TIOCM_CTS, TIOCM_DSR, TIOCM_RI, TIOCM_DCD]
/** Words of struct serial_icounter_struct: cts, dsr, rng, dcd, rx, tx, frame, overrun, parity, brk, buf_overrun, … */
const COUNTER_WORDS = 20

/** What falls between two waits is found by looking so often. */
const LOOK_MS = 20
/** The same where the driver has no wait. */
const POLL_MS = 2

process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'))

const koffi = await import('koffi').then(
  (module) => module.default,
  () => process.exit(1),
)
const libc = koffi.load(null)
const ioctl = libc.func('int ioctl(int fd, unsigned long request, _Inout_ uint32_t *words)')
const ioctlValue = libc.func('int ioctl(int fd, unsigned long request, unsigned long value)')

const open = (): number => openSync(process.argv[2] ?? '', constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK)
const fd = open()
/** One for the wait alone: who lets ioctls of a file pass one by one would let nothing pass beside it. */
const waiting = open()

function levels(): number | null {
  const words = new Uint32Array(1)
  if (ioctl(fd, TIOCMGET, words) < 0) return null
  return BITS.reduce((bits, bit, index) => bits | (((words[0] as number) & bit) === 0 ? 0 : 1 << index), 0)
}

function counts(): number[] | null {
  const words = new Uint32Array(COUNTER_WORDS)
  if (ioctl(fd, TIOCGICOUNT, words) < 0) return null
  return [0, 1, 2, 3, 6, 7, 8, 9].map((index) => words[index] as number)
}

let last = ''

/** Counts first: a change between the two is told with the next look at the latest, and no count is ahead of it. */
function look(): void {
  const report = { counts: counts(), levels: levels() }
  if (report.levels === null) return // unplugged: the parent hears so from the port
  const text = JSON.stringify(report)
  if (text === last) return
  last = text
  process.send?.(report satisfies { counts: ModemReport['counts']; levels: number | null })
}

function set({ dtr, rts, brk }: Required<LineSettings>): void {
  const bits = (dtr ? TIOCM_DTR : 0) | (rts ? TIOCM_RTS : 0)
  ioctl(fd, TIOCMBIS, Uint32Array.of(bits))
  ioctl(fd, TIOCMBIC, Uint32Array.of((TIOCM_DTR | TIOCM_RTS) & ~bits))
  ioctlValue(fd, brk ? TIOCSBRK : TIOCCBRK, 0) // a driver without break says so, and has the other lines set
}

/** Waits for a change again and again. A wait is begun before the look, so that little falls between two. */
function wait(): void {
  ioctlValue.async(
    waiting,
    TIOCMIWAIT,
    TIOCM_CTS | TIOCM_DSR | TIOCM_RI | TIOCM_DCD,
    (_error: unknown, result: number) => {
      if (result < 0)
        setInterval(look, POLL_MS) // no wait in this driver, or the device is gone
      else {
        wait()
        look()
      }
    },
  )
}

if (levels() === null) process.send?.('none')
else {
  look()
  process.on('message', (settings) => set(settings as Required<LineSettings>))
  setInterval(look, LOOK_MS)
  wait()
}
