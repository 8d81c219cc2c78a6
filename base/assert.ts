/** Thrown when one of our own invariants is broken. Never caught but at the machine's edge. */
export class AssertionError extends Error {
  override name = 'AssertionError'
}

/** Throws unless `condition` holds. `law` starts with the number it has in docs/INVARIANTS.md. */
export function assert(condition: boolean, law: string): asserts condition {
  if (!condition) throw new AssertionError(law)
}
