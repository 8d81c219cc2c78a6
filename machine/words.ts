/** Where lockstep keeps its words. */
import { Machine as Block } from '../kernel/ke/pcr.ts'
import type { TurnWords } from '../hal/turns.ts'

export const TURN_WORDS: TurnWords = {
  token: Block.Token,
  idleCount: Block.IdleCount,
  mainDoorbell: Block.MainDoorbell,
  time: Block.VirtualTime,
  nextOutside: Block.NextOutsideEvent,
  nextDue: Block.NextDue,
  returnTo: Block.ReturnTo,
}
