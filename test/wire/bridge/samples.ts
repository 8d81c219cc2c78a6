/** One message of each kind, and odd ones: what `test/wire/golden/lines.txt` holds, in its order. */
import type { Line } from '../../../wire/bridge/codec.ts'
import type { Message } from '../../../wire/bridge/messages.ts'

export const NONCE = 0x1a2b3c4d
export const BOOT = 7

/** Which prefix a sample has: none, the nonce, or nonce and boot count. */
export type Prefixed = 'none' | 'nonce' | 'session'
export interface Sample extends Line {
  prefixed: Prefixed
}

const line = (prefixed: Prefixed, sequence: number, ack: number, message: Message): Sample => ({
  prefixed,
  message,
  sequence,
  ack,
})
const more = (offset: number, value: number) => ({ offset, value, isMore: true })
const is = (offset: number, value: number) => ({ offset, value, isMore: false })

export const SAMPLES: Sample[] = [
  line('none', 0, -1, { kind: 'H', version: 1, nonce: NONCE }),
  line('none', 0, -1, { kind: 'H', version: 1, nonce: 0x0000000f }),
  line('none', 0, -1, { kind: 'H', version: 2, nonce: 0xffffffff }),
  line('none', 0, -1, { kind: 'b', version: 1, bootCount: BOOT }),
  line('none', 0, -1, { kind: 'b', version: 63, bootCount: 0xffffffff }),
  line('nonce', 0, -1, { kind: 'h', version: 1, bootCount: BOOT }),
  line('session', 5, 8, { kind: 'W', device: 0, offset: 8, value: 0x1f }),
  line('session', 63, 63, { kind: 'W', device: 63, offset: 0x7fc, value: 0xffffffff }),
  line('session', 0, 0, { kind: 'W', device: 1, offset: 0, value: 0 }),
  line('session', 1, 9, { kind: 'D', device: 0, offset: 0x14, bytes: [0, 1, 0xfe, 0xff] }),
  line('session', 2, 9, {
    kind: 'D',
    device: 0,
    offset: 0x14,
    bytes: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
  }),
  line('session', 3, 17, { kind: 'R', device: 2, offset: 0x40 }),
  line('session', 4, 24, { kind: 'E', line: 2, frame: 61 }),
  line('session', 5, 32, { kind: 'L', line: 0 }),
  line('session', 6, 40, { kind: 'M', line: 62 }),
  line('session', 7, 48, { kind: 'C', device: 2, offset: 0, count: 4096 }),
  line('session', 0, 56, { kind: 'A' }),
  line('session', 0, 0, { kind: 't', text: 'uno 1.0.0 4e55 ' }),
  line('session', 1, 0, { kind: 't', text: '' }),
  line('session', 2, 0, { kind: 'i', line: 2, frame: 0, time: 1_234_567, edges: 1, snapshot: [] }),
  line('session', 3, 3, { kind: 'i', line: 2, frame: 1, time: 0, edges: 0, snapshot: [is(0x14, 0)] }),
  line('session', 4, 7, {
    kind: 'i',
    line: 0,
    frame: 63,
    time: 0xffffffff,
    edges: 0xffffffff,
    snapshot: [more(0, 1), is(0x7fc, 0xffffffff)],
  }),
  line('session', 5, 7, { kind: 's', line: 0, snapshot: [is(4, 0x10), more(8, 2), is(0xc, 3)] }),
  line('session', 6, 5, { kind: 'd', device: 0, offset: 0x14, bytes: [0x48, 0x69] }),
  line('session', 7, 5, { kind: 'w', device: 2, offset: 0x50, values: [0x10203, 0, 0xffffffff] }),
  line('session', 8, 5, { kind: 'r', value: 0xffffffff }),
  line('session', 9, 5, { kind: 'r', value: 0 }),
  line('session', 10, 5, { kind: 'e', code: 1, text: '' }),
  line('session', 11, 5, { kind: 'e', code: 7, text: 'i2c0: SDA is stuck at low' }),
  line('session', 0, -1, { kind: 'l', text: 'hello, ~people~ = you' }),
  line('session', 0, 12, { kind: 'a' }),
]
