/** The form of a board file, as a schema: published as `boards/board.schema.json` for editors. */
import { z } from 'zod'
import { GPIO_PINS } from '../classes/gpio.ts'
import { HID_LONGEST, MOST_FIELDS } from '../classes/hid.ts'
import { MOST_PATTERNS } from '../classes/lines.ts'

/** Digits of the wire number devices and lines. */
export const MOST_DEVICES = 64
export const MOST_LINES = 64
const LONGEST_PATTERN = 200

const name = z
  .string()
  .max(32)
  .regex(/^[a-z][a-z0-9-]*$/, 'a name is lower case letters, digits and hyphens, and begins with a letter')
const registerName = z
  .string()
  .max(32)
  .regex(/^[A-Z][A-Z0-9_]*$/, 'a register is named as in a datasheet: upper case letters, digits and underscores')
const word = z.number().int().min(0).max(0xffffffff)
const dirql = z.number().int().min(3).max(11).describe('The device interrupt level at which the ISR runs')
const usbId = z.string().regex(/^[0-9a-fA-F]{4}$/, 'a USB id is four hexadecimal digits, such as "2341"')

const register = z.strictObject({
  name: registerName,
  offset: z.number().int().min(0).max(2044).multipleOf(4).describe('Bytes from the window’s begin'),
  kind: z.enum(['control', 'status', 'count', 'command', 'fifo', 'level']),
  reset: word.default(0),
  width: z
    .union([z.literal(1), z.literal(4)])
    .optional()
    .describe('Bytes of an entry of a fifo'),
  room: z.number().int().min(2).max(65_536).optional().describe('Entries of a fifo: a power of two'),
  of: registerName.optional().describe('The fifo whose entries a level register tells'),
})
export type RegisterEntry = z.infer<typeof register>

const line = z.strictObject({
  name,
  dirql: dirql.default(5),
  mode: z.enum(['latched', 'level']),
  shared: z.boolean().default(false),
  passive: z
    .boolean()
    .default(false)
    .describe('A passive-level interrupt: its ISR runs at PASSIVE_LEVEL, and may wait'),
  snapshot: z.array(registerName).max(32).optional().describe('Status and count registers that its frames carry'),
  pin: z
    .number()
    .int()
    .min(0)
    .max(GPIO_PINS - 1)
    .optional()
    .describe('The gpio pin that it watches'),
  active: z.enum(['low', 'high', 'both']).optional().describe('The pin’s asserted level, or the edge that counts'),
})
export type LineEntry = z.infer<typeof line>

const parameters = z
  .record(z.string().min(1).max(255), z.union([z.string().max(1000), word, z.array(z.string().max(1000)).max(64)]))
  .describe('Values of the device’s registry key')

const child = z.strictObject({
  name,
  address: z
    .union([z.number().int().min(0).max(0x7f), z.string().regex(/^0x[0-7]?[0-9a-fA-F]$/, 'an address is 0x00 to 0x7F')])
    .describe('On the bus: a number, or a text such as "0x48"'),
  hardwareIds: z.array(z.string().min(1).max(200)).min(1).max(8),
  file: name.optional().describe('What its data is called in drivers/boardfs; default: data'),
  lines: z.array(z.string()).max(8).default([]).describe('Lines that it gets for its own: "alert", or "gpio.alert"'),
  parameters: parameters.default({}),
})

const pattern = z.strictObject({
  match: z.string().min(1).max(LONGEST_PATTERN).describe('A regular expression over one text line'),
  scale: z.number().min(1e-6).max(1e9).default(1).describe('Groups are multiplied by it'),
  dirql: dirql.default(5),
})

const field = z.strictObject({
  report: z.number().int().min(0).max(255).default(0),
  byte: z
    .number()
    .int()
    .min(0)
    .max(HID_LONGEST - 1),
  bit: z.number().int().min(0).max(7).default(0),
  bits: z.number().int().min(1).max(32).default(1),
  signed: z.boolean().default(false),
  mode: z.enum(['latched', 'level']).default('latched'),
  active: z.enum(['low', 'high', 'both']).optional(),
  dirql: dirql.default(5),
})

const device = z.strictObject({
  name,
  class: z
    .enum(['i2c', 'gpio', 'adc', 'uart', 'lines', 'hid'])
    .optional()
    .describe('Gives registers and lines (docs/hardware); without it the device has those that the file tells'),
  hardwareIds: z.array(z.string().min(1).max(200)).min(1).max(8).optional().describe('Default: dirql\\ and the class'),
  registers: z.array(register).max(512).default([]),
  lines: z.array(line).max(MOST_LINES).default([]),
  dirql: z.record(name, dirql).default({}).describe('DIRQLs of the class’s lines that are to be others'),
  reset: z.record(registerName, word).default({}).describe('Values after plug that differ from the class’s'),
  patterns: z.record(name, pattern).default({}).describe(`Lines of text that interrupt; at most ${MOST_PATTERNS}`),
  fields: z.record(name, field).default({}).describe(`Fields of input reports that interrupt; at most ${MOST_FIELDS}`),
  parameters: parameters.default({}),
  children: z.array(child).max(32).default([]).describe('Chips on the device’s bus'),
})
export type DeviceEntry = z.infer<typeof device>

const recognise = z.strictObject({
  vid: usbId.optional(),
  pid: usbId.optional(),
  serialNumber: z.string().min(1).max(200).optional(),
  manufacturer: z.string().min(1).max(200).optional().describe('A part of what the device says, without case'),
})

const serial = z.strictObject({
  kind: z.literal('serial'),
  baud: z.number().int().min(50).max(12_000_000).default(115_200),
  dataBits: z.number().int().min(5).max(8).default(8),
  stopBits: z.number().int().min(1).max(2).default(1),
  parity: z.enum(['none', 'odd', 'even', 'mark', 'space']).default('none'),
  flow: z.enum(['none', 'rts-cts', 'xon-xoff']).default('none'),
  reset: z.boolean().default(true).describe('Whether each open resets the board; false: the first one after plug only'),
})
const hid = z.strictObject({
  kind: z.literal('hid'),
  usagePage: z.number().int().min(0).max(0xffff).optional().describe('Tells interfaces of one device apart'),
  usage: z.number().int().min(0).max(0xffff).optional(),
  reportBytes: z.number().int().min(1).max(HID_LONGEST).default(64),
})

export const boardFile = z.strictObject({
  $schema: z.string().optional(),
  name,
  description: z.string().max(1000).default(''),
  recognise: z.array(recognise).max(32).default([]).describe('Devices of the system that are such boards'),
  link: z.discriminatedUnion('kind', [serial, hid]).optional().describe('How its bytes travel'),
  protocol: z.enum(['bridge', 'uart', 'text', 'hid-raw']).optional().describe('What they mean (docs/wire.md)'),
  devices: z.array(device).min(1).max(MOST_DEVICES),
})
export type BoardFile = z.infer<typeof boardFile>

/** What `boards/board.schema.json` holds. */
export const boardJsonSchema = (): object => z.toJSONSchema(boardFile, { io: 'input' })
