import { FILE_NOTIFY_INFORMATION } from '../../../kernel/fsrtl/codes.ts'

/** `action name` of each record in a buffer; throws where they do not lie as they must. */
export function recordsIn(bytes: Uint8Array): string[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const { NextEntryOffset, Action, FileNameLength, FileName } = FILE_NOTIFY_INFORMATION.offsets
  const found: string[] = []
  for (let at = 0, next = 1; next !== 0; at += next) {
    next = view.getUint32(at + NextEntryOffset, true)
    const nameLength = view.getUint32(at + FileNameLength, true)
    let name = ''
    for (let i = 0; i < nameLength; i += 2) name += String.fromCharCode(view.getUint16(at + FileName + i, true))
    found.push(`${view.getUint32(at + Action, true)} ${name}`)
    const end = at + FileName + nameLength
    const expected = next === 0 ? bytes.length : at + next
    if ((next === 0 ? end : (end + 3) & ~3) !== expected)
      throw new Error(`record at ${at} ends at ${end}, next ${next}`)
  }
  return found
}
