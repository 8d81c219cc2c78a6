/** Lines of the bridge protocol: messages to bytes and back, as pure functions (docs/wire.md, 1–4). */
import { CRC_START, crcOf, crcOver, crcOverWord } from './crc.ts'
import { COMMA, DIGIT_CODES, DIGIT_VALUES, EQUALS, PLUS, Reader, STAR, Writer } from './fields.ts'
import type { Message, Told } from './messages.ts'

/** What a line said. */
export interface Line {
  message: Message
  /** Of a sequenced line, else 0. */
  sequence: number
  /** The acknowledgement of a sequenced line, of `A` and of `a`, else -1. */
  ack: number
}

/** What a line with a good checksum said that is not built as the protocol says, or has a kind that it does not know. */
export interface Fault {
  fault: 'malformed' | 'unknown'
  isSequenced: boolean
  sequence: number
  ack: number
}

export const NEWLINE = 0x0a
const CHECKSUM = 6

/** The checksum's state behind the prefix: of a session's lines, of an answer to hello, or of hello itself. */
export function prefixOf(nonce?: number, bootCount?: number): number {
  let state = CRC_START
  if (nonce !== undefined) state = crcOverWord(state, nonce)
  if (bootCount !== undefined) state = crcOverWord(state, bootCount)
  return state
}

/** By the code of a kind: whether it has a sequence number, whether it has an acknowledgement. */
const Form = { None: 0, Acked: 1, Sequenced: 3 } as const
const FORMS = new Uint8Array(256).fill(Form.Sequenced)
for (const kind of 'Hhbl') FORMS[kind.charCodeAt(0)] = Form.None
for (const kind of 'Aa') FORMS[kind.charCodeAt(0)] = Form.Acked

export const isSequenced = (kind: string): boolean => FORMS[kind.charCodeAt(0)] === Form.Sequenced

const writer = new Writer()

/** The characters of a message, before acknowledgement and checksum. */
export function encodeBody(message: Message, sequence: number): Uint8Array {
  const kind = message.kind.charCodeAt(0)
  writer.code(kind)
  if (FORMS[kind] === Form.Sequenced) writer.digit(sequence)
  writePayload(message)
  return writer.take()
}

function writePayload(message: Message): void {
  switch (message.kind) {
    case 'A':
    case 'a':
      break
    case 'H':
      writer.digit(message.version).fixed(message.nonce, 8)
      break
    case 'b':
    case 'h':
      writer.digit(message.version).hex(message.bootCount)
      break
    case 'W':
      writer.register(message.device, message.offset).code(EQUALS).hex(message.value)
      break
    case 'D':
    case 'd':
      writer.register(message.device, message.offset).code(EQUALS).pairs(message.bytes)
      break
    case 'w':
      writer.register(message.device, message.offset).code(EQUALS).list(message.values)
      break
    case 'R':
      writer.register(message.device, message.offset)
      break
    case 'C':
      writer.register(message.device, message.offset).code(COMMA).hex(message.count)
      break
    case 'E':
      writer.digit(message.line).digit(message.frame)
      break
    case 'L':
    case 'M':
      writer.digit(message.line)
      break
    case 't':
    case 'l':
      writer.text(message.text)
      break
    case 'r':
      writer.hex(message.value)
      break
    case 'e':
      writer.fixed(message.code, 2).text(message.text)
      break
    case 'i':
      writer.digit(message.line).digit(message.frame).hex(message.time)
      if (message.edges !== 1) writer.code(STAR).hex(message.edges)
      writeSnapshot(message.snapshot)
      break
    case 's':
      writer.digit(message.line)
      writeSnapshot(message.snapshot)
      break
  }
}

function writeSnapshot(snapshot: readonly Told[]): void {
  for (const { offset, value, isMore } of snapshot) {
    writer
      .code(COMMA)
      .hex(offset >>> 2)
      .code(isMore ? PLUS : EQUALS)
      .hex(value)
  }
}

/** `body` with its acknowledgement (where its kind has one), checksum and newline. */
export function seal(body: Uint8Array, ack: number, prefix: number): Uint8Array {
  const end = body.length + (FORMS[body[0]!] === Form.None ? 0 : 1)
  const line = new Uint8Array(end + CHECKSUM + 1)
  line.set(body)
  if (end > body.length) line[body.length] = DIGIT_CODES[ack & 63]!
  const sum = crcOf(crcOver(prefix, line, 0, end))
  for (let index = 0; index < CHECKSUM; index++) line[end + index] = DIGIT_CODES[(sum >>> (30 - 6 * index)) & 63]!
  line[end + CHECKSUM] = NEWLINE
  return line
}

/** The line of a message, with its newline. */
export const encode = ({ message, sequence, ack }: Line, prefix: number): Uint8Array =>
  seal(encodeBody(message, sequence), ack, prefix)

/** Whether the line `bytes[0 … length - 1]`, without newline, ends in the checksum of `prefix` and itself. */
export function hasGoodChecksum(bytes: Uint8Array, length: number, prefix: number): boolean {
  const end = length - CHECKSUM
  if (end < 1) return false
  let sum = DIGIT_VALUES[bytes[end]!]!
  if (sum < 0 || sum > 3) return false
  for (let index = end + 1; index < length; index++) {
    const digit = DIGIT_VALUES[bytes[index]!]!
    if (digit < 0) return false
    sum = (sum << 6) | digit
  }
  return sum === ~crcOver(prefix, bytes, 0, end)
}

/** What the line `bytes[0 … length - 1]`, without newline, says. Its checksum was found good before. */
export function decode(bytes: Uint8Array, length: number): Line | Fault {
  const form = FORMS[bytes[0]!]!
  const sequenced = form === Form.Sequenced
  const from = sequenced ? 2 : 1
  const end = length - CHECKSUM - (form === Form.None ? 0 : 1)
  const sequence = sequenced ? DIGIT_VALUES[bytes[1]!]! : 0
  const ack = form === Form.None ? -1 : DIGIT_VALUES[bytes[end]!]!
  if (end < from || sequence < 0 || (ack < 0 && form !== Form.None)) {
    return { fault: 'malformed', isSequenced: false, sequence: 0, ack: -1 }
  }
  const reader = new Reader(bytes, from, end)
  const message = readPayload(reader, String.fromCharCode(bytes[0]!))
  if (message === null) return { fault: 'unknown', isSequenced: sequenced, sequence, ack }
  if (!reader.isGood || reader.left > 0) return { fault: 'malformed', isSequenced: sequenced, sequence, ack }
  return { message, sequence, ack }
}

function readPayload(reader: Reader, kind: string): Message | null {
  switch (kind) {
    case 'A':
    case 'a':
      return { kind }
    case 'H':
      return { kind, version: reader.digit(), nonce: reader.fixed(8) }
    case 'b':
    case 'h':
      return { kind, version: reader.digit(), bootCount: reader.hex() }
    case 'W':
      return { kind, device: reader.digit(), offset: offsetBefore(reader, EQUALS), value: reader.hex() }
    case 'D':
    case 'd':
      return { kind, device: reader.digit(), offset: offsetBefore(reader, EQUALS), bytes: reader.pairs() }
    case 'w':
      return { kind, device: reader.digit(), offset: offsetBefore(reader, EQUALS), values: reader.list() }
    case 'R':
      return { kind, device: reader.digit(), offset: reader.offset() }
    case 'C':
      return { kind, device: reader.digit(), offset: offsetBefore(reader, COMMA), count: reader.hex() }
    case 'E':
      return { kind, line: reader.digit(), frame: reader.digit() }
    case 'L':
    case 'M':
      return { kind, line: reader.digit() }
    case 't':
    case 'l':
      return { kind, text: reader.text() }
    case 'r':
      return { kind, value: reader.hex() }
    case 'e':
      return { kind, code: reader.fixed(2), text: reader.text() }
    case 'i':
      return readInterrupt(reader)
    case 's':
      return { kind, line: reader.digit(), snapshot: readSnapshot(reader) }
    default:
      return null
  }
}

function offsetBefore(reader: Reader, code: number): number {
  const offset = reader.offset()
  reader.expect(code)
  return offset
}

function readInterrupt(reader: Reader): Message {
  const [line, frame, time] = [reader.digit(), reader.digit(), reader.hex()]
  let edges = 1
  if (reader.peek() === STAR) {
    reader.code()
    edges = reader.hex()
  }
  return { kind: 'i', line, frame, time, edges, snapshot: readSnapshot(reader) }
}

function readSnapshot(reader: Reader): Told[] {
  const snapshot: Told[] = []
  while (reader.left > 0) {
    reader.expect(COMMA)
    const offset = reader.offset()
    const sign = reader.code()
    if (sign !== EQUALS && sign !== PLUS) reader.expect(-1)
    snapshot.push({ offset, value: reader.hex(), isMore: sign === PLUS })
  }
  return snapshot
}
