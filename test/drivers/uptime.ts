/** What a test wants to know of a machine's clock. */
import { KeQueryInterruptTime } from 'dirql/wdm'

export function interruptTime(): number {
  return Number(KeQueryInterruptTime())
}
