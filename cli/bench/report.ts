/** What a run on the bench says: a text that can be pasted into an issue. */
import { existsSync, realpathSync } from 'node:fs'
import { release, type } from 'node:os'
import { type Attached, discover } from '../../hal/links/discovery.ts'
import type { Conformance, Outcome } from './conformance.ts'

export interface Setting {
  dirql: string
  board: string
  /** As it was given. */
  port: string
  processors: number
  /** The system's device there; null where it is none that the system lists, as a PTY. */
  device: Attached | null
}

/** The device at `port`, which may be a link to it. */
export async function deviceAt(port: string): Promise<Attached | null> {
  const path = existsSync(port) ? realpathSync(port) : port
  const { devices } = await discover()
  return devices.find((device) => device.path === path || device.path === port) ?? null
}

const hex = (id: number | null): string => id?.toString(16).padStart(4, '0') ?? '????'

function usbOf(device: Attached | null): string {
  if (device === null) return 'no device that the system lists (a PTY, or a simulated board)'
  const { vendorId, productId, serialNumber, manufacturer } = device
  const ids = vendorId === null ? 'no USB ids' : `USB ${hex(vendorId)}:${hex(productId)}`
  const driver = device.kind === 'serial' && device.driver !== null ? `, driver ${device.driver}` : ''
  const timer =
    device.kind === 'serial' && device.latencyTimerMs !== null ? `, latency timer ${device.latencyTimerMs} ms` : ''
  const serial = serialNumber === null ? 'no serial number' : `serial number ${serialNumber}`
  return `${ids}, ${manufacturer ?? 'maker not told'}, ${serial}${driver}${timer}`
}

export const MARK = (ok: boolean | null): string => (ok === null ? 'left out' : ok ? 'ok' : 'FAILED')

const row = ({ scenario, ok, detail, ms }: Outcome): string =>
  `| ${scenario} | ${MARK(ok)} | ${ms} | ${detail.replaceAll('|', '\\|').replaceAll('\n', ' ')} |`

/** In Markdown. */
export function reportOf(run: Conformance, setting: Setting): string {
  const { isrLatencyUs, questionUs, outcomes } = run
  const failed = outcomes.filter(({ ok }) => ok === false).length
  const left = outcomes.filter(({ ok }) => ok === null).length
  return [
    `### dirql bench report: ${setting.board}, ${failed === 0 ? 'all held' : `${failed} failed`}`,
    '',
    `- dirql ${setting.dirql}, Node.js ${process.version}, ${type()} ${release()} ${process.arch}`,
    `- board ${setting.board} at ${setting.port}: ${usbOf(setting.device)}`,
    `- firmware: ${run.firmware ?? 'none told'}`,
    `- ${setting.processors} processor${setting.processors === 1 ? '' : 's'}, real time`,
    `- line to ISR: p50 ${isrLatencyUs.p50} µs, p99 ${isrLatencyUs.p99} µs (${isrLatencyUs.count} looks)`,
    `- question to answer: p50 ${questionUs.p50} µs, p99 ${questionUs.p99} µs (${questionUs.count} questions)`,
    `- ${outcomes.length - failed - left} held, ${failed} failed, ${left} left out`,
    '',
    '| scenario | | ms | |',
    '|---|---|---|---|',
    ...outcomes.map(row),
    '',
  ].join('\n')
}
