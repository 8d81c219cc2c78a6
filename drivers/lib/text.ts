/** Texts in the machine's memory, as UTF-16. */
import { array, struct, type UNICODE_STRING, WCHAR } from 'dirql/wdm'

/** Units of memory: how many are meant is said elsewhere. */
const UNITS = struct('UNITS', { Units: array(WCHAR, 0x8000) })

/** What stands in `bytes` bytes from `address` on. */
export function textAt(address: number, bytes: number): string {
  const { Units } = new UNITS(address)
  let text = ''
  for (let index = 0; index < bytes >> 1; index++) text += String.fromCharCode(Units[index] ?? 0)
  return text
}

export const textOf = ({ Buffer, Length }: UNICODE_STRING): string => textAt(Buffer, Length)

/** Writes the first `units` units of a text, where there is room for them. */
export function putText(address: number, text: string, units = text.length): void {
  const { Units } = new UNITS(address)
  for (let index = 0; index < units; index++) Units[index] = text.charCodeAt(index)
}
