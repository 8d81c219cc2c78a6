/** What the schema cannot say of a board file: that its parts fit each other. Each fault names its place and a remedy. */
import type { DeviceLayout, LineSpec, RegisterSpec } from '../classes/device.ts'
import { MOST_FIELDS } from '../classes/hid.ts'
import { groupsOf, MOST_PATTERNS, PATTERN_GROUPS, registerName } from '../classes/lines.ts'
import { addressOf, layoutOf, layoutsOf, linesNamed, placedLines, type PlacedLine } from './boardplan.ts'
import { type BoardFile, type DeviceEntry, MOST_LINES } from './boardschema.ts'
import { unboundedReason } from './boundedpattern.ts'

const MOST_SNAPSHOT = 32
const MOST_RESOURCES = 32
/** What each protocol carries: the kind of link, and the class of its one device where it has one. */
const PROTOCOLS = {
  bridge: { links: ['serial', 'hid'], class: null },
  uart: { links: ['serial'], class: 'uart' },
  text: { links: ['serial'], class: 'lines' },
  'hid-raw': { links: ['hid'], class: 'hid' },
} as const

/** The faults of a file that has the form of one; none when it can be used. */
export function checkBoard(file: BoardFile): string[] {
  // Each of these relies on what those before it have found right.
  for (const check of [checkNames, checkDevices, checkWire, checkLines, checkChildren]) {
    const faults = check(file)
    if (faults.length > 0) return faults
  }
  return []
}

function checkNames({ devices }: BoardFile): string[] {
  return doubled(devices.map(({ name }) => name)).map(
    (name) => `two devices are named '${name}'; a device's name is its alone`,
  )
}

const doubled = (names: readonly string[]): string[] => [
  ...new Set(names.filter((name, index) => names.indexOf(name) !== index)),
]

function checkDevices({ devices }: BoardFile): string[] {
  return devices.flatMap((device) => {
    const belonging = checkBelonging(device)
    if (belonging.length > 0) return belonging.map((fault) => `device '${device.name}': ${fault}`)
    const layout = layoutOf(device)
    const faults = [...checkRegisters(device, layout), ...checkSnapshots(layout)]
    return faults.map((fault) => `device '${device.name}': ${fault}`)
  })
}

/** What may stand in a device of its class. */
function checkBelonging(device: DeviceEntry): string[] {
  const { class: type, registers, lines, hardwareIds, patterns, fields } = device
  const faults: string[] = []
  if (type === undefined && hardwareIds === undefined) {
    faults.push("it has neither class nor hardwareIds; give it a class, or hardwareIds such as ['dirql\\\\button']")
  }
  if (type !== undefined && registers.length > 0) {
    faults.push(`class ${type} has its registers; take 'registers' out, or 'class'`)
  }
  for (const line of lines) {
    if (type === 'gpio' && line.pin === undefined) faults.push(`line '${line.name}' needs a pin: "pin": 2`)
    if (type !== 'gpio' && line.pin !== undefined)
      faults.push(`line '${line.name}' has a pin; only class gpio has pins`)
    if (line.pin === undefined && line.active !== undefined) faults.push(`line '${line.name}': 'active' is for pins`)
    if (line.pin !== undefined && line.snapshot !== undefined) {
      faults.push(`line '${line.name}': a pin's snapshot is the count of its edges; take 'snapshot' out`)
    }
    if (line.mode === 'level' && line.active === 'both') {
      faults.push(`line '${line.name}' is level-triggered: 'active' must be 'low' or 'high'`)
    }
    if (type !== undefined && type !== 'gpio')
      faults.push(`line '${line.name}': class ${type} has its lines; take it out`)
  }
  for (const pin of doubled(lines.flatMap((line) => (line.pin === undefined ? [] : [String(line.pin)])))) {
    faults.push(`two lines watch pin ${pin}; a pin is one line at most`)
  }
  if (type !== 'lines' && Object.keys(patterns).length > 0) faults.push("'patterns' are for class lines only")
  if (type !== 'hid' && Object.keys(fields).length > 0) faults.push("'fields' are for class hid only")
  return [...faults, ...checkPatterns(device), ...checkFields(device)]
}

function checkPatterns({ patterns }: DeviceEntry): string[] {
  const entries = Object.entries(patterns)
  const faults = entries.flatMap(([name, { match }]) => {
    const fault = patternFault(match)
    return fault === null ? [] : [`pattern '${name}' (${match}): ${fault}`]
  })
  if (entries.length > MOST_PATTERNS) faults.push(`it has ${entries.length} patterns; there can be ${MOST_PATTERNS}`)
  return faults
}

function patternFault(match: string): string | null {
  try {
    if (groupsOf(match) > PATTERN_GROUPS)
      return `it has more than ${PATTERN_GROUPS} groups; write (?:…) for those that are no value`
  } catch (error) {
    return `it is no regular expression: ${(error as Error).message}`
  }
  return unboundedReason(match)
}

function checkFields({ fields }: DeviceEntry): string[] {
  const entries = Object.entries(fields)
  const faults = entries.flatMap(([name, { bits, mode, active, signed }]) => {
    if (bits > 1 && mode === 'level')
      return [`field '${name}' has ${bits} bits: only a single bit can be level-triggered`]
    if (bits > 1 && active !== undefined && active !== 'both') {
      return [`field '${name}' has ${bits} bits: each change of its value counts; take 'active' out`]
    }
    if (mode === 'level' && active === 'both') return [`field '${name}': 'active' of a level is 'low' or 'high'`]
    if (signed && bits === 1) return [`field '${name}' is one bit, which has no sign; take 'signed' out`]
    return []
  })
  if (entries.length > MOST_FIELDS) faults.push(`it has ${entries.length} fields; there can be ${MOST_FIELDS}`)
  return faults
}

function checkRegisters(
  { reset, dirql, patterns, fields, registers: own }: DeviceEntry,
  layout: DeviceLayout,
): string[] {
  const { registers, lines } = layout
  const faults = [...doubled(registers.map(({ name }) => name))].map((name) => `two registers are named '${name}'`)
  for (const offset of doubled(registers.map((register) => String(register.offset)))) {
    faults.push(`two registers are at offset ${offset}; registers lie four bytes apart`)
  }
  for (const name of Object.keys(reset)) {
    const kind = registers.find((register) => register.name === name)?.kind
    if (kind === 'control' || kind === 'status' || kind === 'count') continue
    const why = kind === undefined ? `there is no register '${name}'` : `a ${kind} register has no reset value`
    faults.push(`reset of '${name}': ${why}; there are ${namesOf(registers)}`)
  }
  for (const name of Object.keys(dirql)) {
    if (!lines.some((line) => line.name === name)) {
      faults.push(`dirql of '${name}': there is no such line; there are ${namesOf(lines)}`)
    }
  }
  for (const { name, kind, width, room, of } of own) {
    const isFifo = kind === 'fifo'
    if (!isFifo && (width ?? room) !== undefined) faults.push(`register '${name}': width and room are for kind fifo`)
    if (room !== undefined && (room & (room - 1)) !== 0) faults.push(`register '${name}': room must be a power of two`)
    const isOf = own.some((register) => register.name === of && register.kind === 'fifo')
    if (kind === 'level' && !isOf) faults.push(`register '${name}': a level register needs "of": the name of a fifo`)
    if (kind !== 'level' && of !== undefined) faults.push(`register '${name}': 'of' is for kind level`)
  }
  for (const name of doubled([...Object.keys(patterns), ...Object.keys(fields)].map(registerName))) {
    faults.push(`two patterns or fields make registers named '${name}'`)
  }
  return faults
}

const namesOf = (items: readonly { name: string }[]): string => items.map(({ name }) => name).join(', ') || 'none'

function checkSnapshots({ registers, lines }: DeviceLayout): string[] {
  const faults = doubled(lines.map(({ name }) => name)).map((name) => `two lines are named '${name}'`)
  const taken = new Map<string, string>()
  for (const line of lines) {
    faults.push(...line.snapshot.flatMap((entry) => snapshotFault(line, entry, registers, taken)))
    if (line.snapshot.length > MOST_SNAPSHOT) {
      faults.push(`line '${line.name}' has ${line.snapshot.length} registers in its snapshot; ${MOST_SNAPSHOT} fit`)
    }
  }
  return faults
}

function snapshotFault(
  { name }: LineSpec,
  entry: string,
  registers: readonly RegisterSpec[],
  taken: Map<string, string>,
): string[] {
  const kind = registers.find((register) => register.name === entry)?.kind
  if (kind !== 'status' && kind !== 'count') {
    return [`line '${name}' has '${entry}' in its snapshot; it must be a status or count register of the device`]
  }
  const other = taken.get(entry)
  taken.set(entry, name)
  if (other === undefined) return []
  return [`'${entry}' is in the snapshots of '${other}' and '${name}'; a register is in one at most`]
}

function checkWire({ link, protocol, devices }: BoardFile): string[] {
  if (protocol === undefined) {
    return link === undefined
      ? []
      : ["it has a link and no protocol; say what its bytes mean: 'bridge', 'uart', 'text' or 'hid-raw'"]
  }
  const rules = PROTOCOLS[protocol]
  if (link === undefined) return [`protocol ${protocol} needs a link: "link": { "kind": "${rules.links[0]}" }`]
  const faults: string[] = []
  if (!(rules.links as readonly string[]).includes(link.kind)) {
    faults.push(`protocol ${protocol} goes over ${rules.links.join(' or ')}, not over ${link.kind}`)
  }
  const type = rules.class
  if (type !== null && (devices.length !== 1 || devices[0]?.class !== type)) {
    faults.push(`protocol ${protocol} carries one device of class ${type}, and no other`)
  }
  return faults
}

function checkLines(file: BoardFile): string[] {
  const count = placedLines(layoutsOf(file)).length
  return count <= MOST_LINES ? [] : [`it has ${count} interrupt lines; a board has ${MOST_LINES} at most`]
}

function checkChildren(file: BoardFile): string[] {
  const lines = placedLines(layoutsOf(file))
  const owners = new Map<number, string>()
  return file.devices.flatMap((device) => {
    const at = (fault: string): string => `device '${device.name}': ${fault}`
    const { children } = device
    const faults = doubled(children.map(({ name }) => name)).map((name) => `two children are named '${name}'`)
    for (const address of doubled(children.map((child) => String(addressOf(child.address))))) {
      faults.push(`two children are at address 0x${Number(address).toString(16)}; a bus tells them apart by it`)
    }
    for (const child of children) {
      for (const wanted of child.lines)
        faults.push(...grantFaults(wanted, `${device.name}.${child.name}`, lines, owners))
    }
    const shared = lines.filter((placed) => placed.device === device.name && placed.line.shared).length
    const most = Math.max(layoutOf(device).lines.length, ...children.map((child) => shared + child.lines.length))
    if (most >= MOST_RESOURCES)
      faults.push(`it or a child of it has ${most} lines; a device gets ${MOST_RESOURCES - 1} at most`)
    return faults.map(at)
  })
}

function grantFaults(
  wanted: string,
  child: string,
  lines: readonly PlacedLine[],
  owners: Map<number, string>,
): string[] {
  const found = linesNamed(lines, wanted)
  const [one] = found
  if (one === undefined) {
    const there = lines.map(({ device, line }) => `${device}.${line.name}`).join(', ')
    return [`child '${child}' wants line '${wanted}', which there is not; there are ${there || 'none'}`]
  }
  if (found.length > 1) {
    return [
      `child '${child}' wants line '${wanted}', which several devices have; write ${found.map(({ device, line }) => `${device}.${line.name}`).join(' or ')}`,
    ]
  }
  const other = owners.get(one.number)
  owners.set(one.number, child)
  if (other === undefined || one.line.shared) return []
  return [`line '${wanted}' is '${other}'s and '${child}'s; say "shared": true at the line, or give it to one`]
}
