/** Unplugs at random moments, while bytes flow both ways. */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import type { UsbKind } from '../../firmware-sim/usb/kinds.ts'
import { openHid } from '../../hal/links/hid.ts'
import { type Link, LinkError, type LinkEvents } from '../../hal/links/link.ts'
import { openSerial } from '../../hal/links/serial.ts'
import { sleepMs } from '../../hal/timers.ts'
import { until } from '../hal/links/contract.ts'
import { type LabDevice, plug } from './devices.ts'

const SEED = 20_261_121

/** Numbers from 0 to 1, always the same (Numerical Recipes' generator). */
function chance(): () => number {
  let state = SEED
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

/** Between what is sent: bytes flow both ways, and the machine has time for other things. */
const PAUSE_MS = 4

const openFiles = (): number => readdirSync('/proc/self/fd').length

/**
 * Up to the unplug: a write behind it fails before the driver has told the port's readers, and Linux lets a close in
 * between wait 30 s for bytes that are unsent (closing_wait).
 */
function sendBothWays(lab: LabDevice, link: Link): void {
  try {
    link.write(new Uint8Array(64).fill(0x55))
  } catch (error) {
    assert.ok(error instanceof LinkError && error.code === 'closed', String(error))
  }
  void lab.device.send(new Uint8Array(64).fill(0xaa)).catch(() => {}) // it may be gone
}

async function unplugOnce(kind: UsbKind, delayMs: number): Promise<void> {
  const lab = await plug(kind)
  const ends: (string | null)[] = []
  const events: LinkEvents = { data: () => {}, closed: (reason) => void ends.push(reason) }
  const open = kind === 'raw-hid' ? openHid : openSerial
  let isPulled = false
  const moment = sleepMs(delayMs).then(() => {
    isPulled = true
    return lab.unplug()
  })
  let link: Link
  try {
    link = await open({ path: lab.path }, events)
  } catch (error) {
    assert.ok(error instanceof LinkError, `open failed with ${String(error)}`) // it was faster than the open
    await moment
    return
  }
  while (ends.length === 0) {
    if (!isPulled) sendBothWays(lab, link)
    await sleepMs(PAUSE_MS)
  }
  await moment
  assert.equal(typeof ends[0], 'string')
  assert.throws(() => link.write(new Uint8Array(64)), LinkError)
  await link.close()
  assert.equal(ends.length, 1)
  await until(`${lab.path} is gone`, () => !lab.hasNode())
}

const KINDS = ['acm', 'ftdi', 'raw-hid'] as const
const ROUNDS = 100
/** Within this, the port is being opened, or has just been. */
const LONGEST_MS = 60
const PARTS = 4

/** In parts, for a case has a limit of time. */
export const unplugCases: Record<string, () => Promise<void>> = Object.fromEntries(
  Array.from({ length: PARTS }, (_, part) => [
    `${ROUNDS / PARTS} unplugs at random moments are each told once, and leave nothing open (${part + 1} of ${PARTS})`,
    async () => {
      const next = chance()
      for (let skipped = 0; skipped < part * (ROUNDS / PARTS); skipped++) next()
      await unplugOnce(KINDS[0], 0) // what is loaded once is loaded now
      const before = openFiles()
      for (let round = 0; round < ROUNDS / PARTS; round++) {
        await unplugOnce(KINDS[round % KINDS.length] as UsbKind, next() * LONGEST_MS)
      }
      await until(`${before} open files, now ${openFiles()}`, () => openFiles() <= before)
    },
  ]),
)
