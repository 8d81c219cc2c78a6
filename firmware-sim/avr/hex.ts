/** Intel HEX, as avr-objcopy writes it: the image of a flash memory. */

const DATA = 0
const END = 1
const SEGMENT = 2
const START_SEGMENT = 3
const LINEAR = 4
const START_LINEAR = 5

/** The bytes of `text` in a memory of `size` bytes; what it does not name is erased, 0xff. */
export function readHex(text: string, size: number): Uint8Array {
  const image = new Uint8Array(size).fill(0xff)
  let base = 0
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (line === '') continue
    const { type, address, data } = record(line, index + 1)
    if (type === END) return image
    if (type === SEGMENT) base = word(data) << 4
    else if (type === LINEAR) base = word(data) * 0x10000
    else if (type === DATA) {
      const at = base + address
      if (at + data.length > size) {
        throw new Error(`HEX line ${index + 1}: address 0x${at.toString(16)} is outside of ${size} bytes of flash`)
      }
      image.set(data, at)
    } else if (type !== START_SEGMENT && type !== START_LINEAR) {
      throw new Error(`HEX line ${index + 1}: record type ${type} is not known`)
    }
  }
  throw new Error('HEX: the end-of-file record is missing; the file was cut')
}

function record(line: string, number: number): { type: number; address: number; data: Uint8Array } {
  if (!/^:([0-9a-fA-F]{2}){5,}$/.test(line)) throw new Error(`HEX line ${number}: this is no record`)
  const bytes = Uint8Array.from({ length: (line.length - 1) / 2 }, (_, at) => {
    return Number.parseInt(line.slice(1 + at * 2, 3 + at * 2), 16)
  })
  if (bytes[0] !== bytes.length - 5) throw new Error(`HEX line ${number}: its length does not match`)
  if ((bytes.reduce((sum, byte) => sum + byte, 0) & 0xff) !== 0) {
    throw new Error(`HEX line ${number}: its checksum does not match`)
  }
  return { type: bytes[3] as number, address: word(bytes.subarray(1)), data: bytes.subarray(4, -1) }
}

const word = (bytes: Uint8Array): number => ((bytes[0] ?? 0) << 8) | (bytes[1] ?? 0)
