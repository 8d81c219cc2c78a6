/** What a board says of itself after hello, and whether it is the board that the board file tells (docs/wire.md, 5). */
import { IDENTITY_PIECE, MOST_IDENTITY } from './messages.ts'
import { MOST_WINDOW, USUAL_WINDOW } from './window.ts'

export interface BridgedDevice {
  class: string
  version: number
  /** How many interrupt lines it has. */
  lines: number
}

export interface Identity {
  firmware: string
  version: string
  /** `-` for a board that has none. */
  uniqueId: string
  /** Lines that it takes at once. */
  window: number
  devices: BridgedDevice[]
}

const WINDOW = /^window\/(\d{1,2})$/
const DEVICE = /^([a-z][a-z0-9-]*)\.(\d{1,3})\/(\d{1,2})$/

/** The identity as text, cut into the pieces of `t` lines; the last one is empty. */
export function identityPieces({ firmware, version, uniqueId, window, devices }: Identity): string[] {
  const words = devices.map((device) => `${device.class}.${device.version}/${device.lines}`)
  if (window !== USUAL_WINDOW) words.unshift(`window/${window}`)
  const text = [firmware, version, uniqueId, ...words].join(' ').slice(0, MOST_IDENTITY)
  return [...(text.match(new RegExp(`.{1,${IDENTITY_PIECE}}`, 'g')) ?? []), '']
}

/** The identity that a text tells, or what is wrong with it. */
export function readIdentity(text: string): Identity | string {
  const [firmware, version, uniqueId, ...words] = text.split(' ')
  if (!firmware || !version || !uniqueId)
    return `the board says '${text}' of itself: name, version and id must be there`
  const told = WINDOW.exec(words[0] ?? '')?.[1]
  const window = told === undefined ? USUAL_WINDOW : Math.min(Number(told), MOST_WINDOW)
  if (window === 0) return `the board says '${text}' of itself: it takes no lines`
  const devices: BridgedDevice[] = []
  for (const word of told === undefined ? words : words.slice(1)) {
    const [, name, classVersion, lines] = DEVICE.exec(word) ?? []
    if (name === undefined) return `the board says it has a device '${word}': that is no class.version/lines`
    devices.push({ class: name, version: Number(classVersion), lines: Number(lines) })
  }
  return { firmware, version, uniqueId, window, devices }
}

/** What differs between the board and its board file; null if nothing does. */
export function difference(
  { firmware, version, devices }: Identity,
  expected: readonly BridgedDevice[],
): string | null {
  const board = `the board's firmware (${firmware} ${version})`
  if (devices.length !== expected.length) {
    return `${board} has ${devices.length} devices, and the board file ${expected.length}: they are not of one board`
  }
  for (const [index, has] of devices.entries()) {
    const wants = expected[index]!
    const which = `${board}, device ${index}: it is`
    if (has.class !== wants.class)
      return `${which} of class ${has.class}, and in the board file of class ${wants.class}`
    if (has.version !== wants.version) {
      const older = has.version < wants.version ? 'put newer firmware on the board' : 'use a newer dirql'
      return `${which} of version ${has.version} of class ${has.class}, and version ${wants.version} is needed: ${older}`
    }
    if (has.lines !== wants.lines) {
      return `${which} a ${has.class} with ${has.lines} interrupt lines, and in the board file with ${wants.lines}`
    }
  }
  return null
}
