/** `dirql sim BOARD`: a simulated board that any program can open. */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { openPty } from '../../hal/links/pty.ts'
import { UsageError } from '../../machine/errors.ts'
import { serveOnLink } from '../../machine/serve.ts'
import { UnoOnRealClock } from '../../machine/uno.ts'
import { serveControl } from '../../machine/control.ts'
import { ExitCode } from '../exitcodes.ts'
import { Interruption } from '../interrupted.ts'

interface SimOptions {
  /** A path for the symbolic link; true when none was given. */
  pty?: string | true
  usb: boolean
  seconds?: number
}

/** Firmware images by board. */
const FIRMWARE: Record<string, string> = { 'arduino-uno': '../../boards/arduino-uno/firmware/uno.hex' }

export async function sim(board: string, { pty, usb, seconds }: SimOptions): Promise<number> {
  const image = FIRMWARE[board]
  if (image === undefined) {
    throw new UsageError(
      `no firmware runs for '${board}'; boards that can be simulated for other programs: ${Object.keys(FIRMWARE).join(', ')}`,
    )
  }
  if (usb) {
    const { simUsb } = await import('./simusb.ts')
    return simUsb(board, seconds)
  }
  using interruption = new Interruption(seconds)
  const firmware = readFileSync(new URL(image, import.meta.url), 'latin1')
  const uno = new UnoOnRealClock({ firmware })
  const link = typeof pty === 'string' ? resolve(pty) : undefined
  const served = await serveOnLink(uno, (events) => openPty(events, link === undefined ? {} : { link }))
  const path = link ?? served.link.path
  const control = await serveControl(path, uno)
  process.stdout.write(
    `${board} (emulated, real firmware) at ${path}\n` +
      `try: npm start -- --port ${path}\n` +
      `hands: lines of JSON to ${control.path}, such as {"do":"press","pin":"button"}\n`,
  )
  await interruption.happened
  await control.close()
  await served.link.close()
  const { transactions, mixedTransactions } = await uno.report()
  await uno.powerOff()
  const lost = served.lost > 0 ? `; ${served.lost} bytes found no reader` : ''
  process.stdout.write(`${transactions} transactions on the bus, ${mixedTransactions} sequences cut into${lost}\n`)
  return ExitCode.Held
}
