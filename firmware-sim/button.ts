/** The model of `boards/button`: one push button with a light. */
import type { ModelBoard } from './model.ts'

/** Makes presses of the button count, stamp and interrupt. */
export function buttonBoard(board: ModelBoard): { press(pin: string): void; release(pin: string): void } {
  const button = board.device('button')
  const known = (pin: string): void => {
    if (pin !== 'button') throw new Error(`this board has no pin '${pin}'; it has 'button'`)
  }
  return {
    press(pin) {
      known(pin)
      button.set('STATE', 1)
      button.add('PRESSES', 1)
      button.set('TICK', board.us)
      button.line('press').pulse()
    },
    release(pin) {
      known(pin)
      button.set('STATE', 0)
    },
  }
}
