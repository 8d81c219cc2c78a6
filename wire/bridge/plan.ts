/** What both sides of a bridge must know of a board, from the layouts of its devices. */
import type { DeviceLayout } from '../../classes/device.ts'
import type { BridgedDevice } from './identity.ts'

interface Register {
  device: number
  offset: number
}

export interface BridgePlan {
  devices: BridgedDevice[]
  /** FIFO registers with entries of a byte, and of a word. */
  byteFifos: Register[]
  wordFifos: Register[]
}

/** `layouts` in the order of the board file: that numbers devices and lines. */
export function bridgePlan(layouts: readonly DeviceLayout[]): BridgePlan {
  const fifos = layouts.flatMap(({ registers }, device) =>
    registers.filter(({ kind }) => kind === 'fifo').map(({ offset, width = 1 }) => ({ device, offset, width })),
  )
  const ofWidth = (wanted: number): Register[] =>
    fifos.filter(({ width }) => width === wanted).map(({ device, offset }) => ({ device, offset }))
  const devices = layouts.map((layout) => ({
    class: layout.class,
    version: layout.version,
    lines: layout.lines.length,
  }))
  return { devices, byteFifos: ofWidth(1), wordFifos: ofWidth(4) }
}
