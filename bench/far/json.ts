/** The bridge as one writes it in an afternoon: the same frames and the same calls, each as a line of JSON. */
import { ReadlineParser } from '@serialport/parser-readline'
import type { BoardEnd, Frame } from '../../hal/boardhost.ts'
import type { ModelBoard } from '../../firmware-sim/model.ts'

/** What the host says behind an interrupt. */
type Call = { write: [device: number, offset: number, value: number] } | { end: [line: number, sequence: number] }

/** Hands on the objects in the bytes that come. */
export function objectsIn<T>(told: (object: T) => void): (bytes: Uint8Array) => void {
  const parser = new ReadlineParser({ encoding: 'latin1' })
  parser.on('data', (line: string) => told(JSON.parse(line) as T))
  return (bytes) => void parser.write(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length))
}

const lineOf = (object: object): string => `${JSON.stringify(object)}\n`

/** Puts `board` behind such lines; gives back what takes those of the host. */
export function serveJson(board: ModelBoard, send: (text: string) => void): (bytes: Uint8Array) => void {
  board.connect({
    frame: (frame) => send(lineOf(frame)),
    fifo() {},
    reset() {},
    gone() {},
    log() {},
  })
  const end: BoardEnd = board
  for (let line = 0; line < board.devices.length; line++) end.enableLine(line)
  return objectsIn<Call>((call) => {
    if ('write' in call) end.write(...call.write)
    else end.endOfInterrupt(...call.end)
  })
}

/** The host: has `answer` give the value that is written to `offset` behind each frame. */
export function jsonHost(
  offset: number,
  answer: (frame: Frame) => number,
  send: (text: string) => void,
): (bytes: Uint8Array) => void {
  return objectsIn<Frame>((frame) => {
    const write: Call = { write: [frame.line, offset, answer(frame)] }
    const end: Call = { end: [frame.line, frame.sequence] }
    send(lineOf(write) + lineOf(end))
  })
}
