/** The struct classes of this thread, by type id: how a processor makes a view of a context that another one sent. */

import type { AnyStruct } from './types.ts'

/** Keys are signed: V8 finds those that are no doubles at once. */
const byId = new Map<number, AnyStruct>()

/** Every class ever defined, twins from modules that were loaded twice included. */
export const classes: AnyStruct[] = []

/** Makes `cls` known. The first of two classes with one name and layout stays the one that contexts are rebuilt as. */
export function register(cls: AnyStruct): void {
  const known = byId.get(cls.typeId | 0)
  if (known !== undefined && known.layout !== cls.layout) {
    throw new Error(
      `struct ${cls.structName} has the same type id as struct ${known.structName}, ${hex(cls.typeId)}: ` +
        'rename one of them',
    )
  }
  if (known === undefined) byId.set(cls.typeId | 0, cls)
  classes.push(cls)
}

/** The class with this type id, if a module that defines it was loaded on this thread. */
export function structOf(typeId: number): AnyStruct | undefined {
  return byId.get(typeId | 0)
}

/** 32-bit FNV-1a over the UTF-16 units of `text`, 0 mapped to 1: 0 says "no struct" in a PVOID. */
export function typeIdOf(text: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return hash >>> 0 || 1
}

export function hex(n: number): string {
  return `0x${n.toString(16).padStart(8, '0')}`
}
