/** Boxes for [out] parameters: Windows' `&local`. */
import type { Out } from '../rtl/ref.ts'
import { BugCode } from './bugcodes.ts'
import { bugCheck } from './bugcheck.ts'
import { cpu } from './pcr.ts'

const UNFILLED = Symbol('unfilled')

class Box<T> implements Out<T> {
  #value: T | typeof UNFILLED = UNFILLED

  get value(): T {
    if (this.#value === UNFILLED) unfilled()
    return this.#value
  }

  set value(to: T) {
    this.#value = to
  }
}

/**
 * An empty box for an [out] parameter. Reading it before a routine has filled it is a bug check: in Windows the
 * variable would hold whatever the stack held.
 */
export function out<T>(): Out<T> {
  return new Box<T>()
}

function unfilled(): never {
  const message =
    'the box of an [out] parameter was read before a routine filled it; look at the status first: most routines fill only on success'
  if (!cpu.isProcessor) throw new Error(message)
  return bugCheck({ code: BugCode.DRIVER_VIOLATION, parameters: [0x20], message })
}
