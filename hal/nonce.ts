/** Random bits for sessions with boards: a nonce must differ from those of other programs and earlier runs. */
import { randomInt } from 'node:crypto'

export const randomWord = (): number => randomInt(0x1_0000_0000)
