/** `dirql list`: attached boards and ports, recognised or not, why, with their lines. */
import { readdirSync } from 'node:fs'
import { type Attached, discover } from '../../hal/links/discovery.ts'
import { recognises } from '../../machine/attached.ts'
import { type BoardFile, readBoardFile } from '../../machine/boardfile.ts'
import { layoutsOf } from '../../machine/boardplan.ts'
import { ExitCode } from '../exitcodes.ts'

interface Listed {
  path: string
  kind: 'serial' | 'hid'
  vendorId: string | null
  productId: string | null
  serialNumber: string | null
  manufacturer: string | null
  /** Board files that recognise it. */
  boards: string[]
  why: string
  /** Interrupt lines that it would have as the first of these, or as a plain port. */
  lines: string[]
}

const boardFiles = (): BoardFile[] =>
  readdirSync(new URL('../../boards/', import.meta.url), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => readBoardFile(name))

/** Exit code 0 when something is attached, 3 when nothing is. */
export async function list(json: boolean): Promise<number> {
  const { devices, problems } = await discover()
  const files = boardFiles()
  const listed = devices.map((device) => describe(device, files))
  if (json) process.stdout.write(`${JSON.stringify({ devices: listed, problems })}\n`)
  else show(listed, problems)
  return listed.length > 0 ? ExitCode.Held : ExitCode.NoBoard
}

function describe(device: Attached, files: readonly BoardFile[]): Listed {
  const { path, kind, serialNumber, manufacturer } = device
  const [vendorId, productId] = [hex(device.vendorId), hex(device.productId)]
  const known = files.filter((file) => recognises(file, device))
  return {
    path,
    kind,
    vendorId,
    productId,
    serialNumber,
    manufacturer,
    boards: known.map(({ name }) => name),
    why: reason(device, known, vendorId, productId),
    lines: linesOf(device, known),
  }
}

function reason(device: Attached, known: readonly BoardFile[], vendor: string | null, product: string | null): string {
  if (vendor === null || product === null) return 'it tells no USB ids: give its path and a board, at: PATH'
  const ids = `${vendor}:${product}`
  if (known.length > 0) return `${ids} is in ${known.map(({ name }) => `boards/${name}/board.json`).join(', ')}`
  const generic = device.kind === 'serial' ? 'generic-serial' : 'generic-hid'
  return `no board file recognises ${ids}: use board: '${generic}', or write one`
}

function linesOf(device: Attached, [first]: readonly BoardFile[]): string[] {
  const firmware =
    first === undefined
      ? []
      : layoutsOf(first).flatMap(({ name, lines }) => lines.map((line) => `${name}.${line.name}`))
  if (device.kind === 'hid') return firmware
  const { lines, counted } = device.modem
  const modem = lines.map((line) => `${line} (${counted.includes(line) ? 'counted' : 'sampled'})`)
  const isBridge = first?.protocol === 'bridge' || first?.protocol === undefined
  return first !== undefined && isBridge ? firmware : modem
}

const hex = (id: number | null): string | null => (id === null ? null : id.toString(16).padStart(4, '0'))

function show(listed: readonly Listed[], problems: readonly string[]): void {
  const say = (text: string): void => void process.stdout.write(`${text}\n`)
  for (const { path, kind, serialNumber, manufacturer, boards, why, lines } of listed) {
    say(`${path}  ${boards[0] ?? 'not recognised'}  (${kind})`)
    say(`    ${why}`)
    if (manufacturer !== null) say(`    made by ${manufacturer}`)
    if (serialNumber !== null) say(`    serial number ${serialNumber}`)
    if (lines.length > 0) say(`    lines: ${lines.join(', ')}`)
  }
  if (listed.length === 0) say('nothing is attached')
  for (const problem of problems) say(`! ${problem}`)
}
