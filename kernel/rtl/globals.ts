/**
 * Driver-wide state: a struct in shared memory that lives from the load of its image to the unload.
 *
 *     export const Globals = globals({ count: ULONG, lock: KSPIN_LOCK })
 *
 * A driver's module runs once on each processor, and only then the loader gives its globals an address, the same one
 * everywhere. So what a driver holds is no view but stands for one, and a later load puts a new view behind it.
 */

import { generates } from './generate.ts'
import { struct } from './struct.ts'
import type { AnyStruct, AnyView, Fields, StructView } from './types.ts'

/** What the loader does with globals: they have an address, and zeroed memory there, while their image is loaded. */
interface Binding {
  readonly struct: AnyStruct
  readonly isBound: () => boolean
  /** 0 takes the memory away. */
  readonly bind: (address: number) => void
}

const bindings = new WeakMap<object, Binding>()

/** How the loader reaches the globals that an image exports; undefined for any other export. */
export const bindingOf = (value: unknown): Binding | undefined =>
  typeof value === 'object' && value !== null ? bindings.get(value) : undefined

/** Driver-wide state in shared memory, zeroed at load. Export it from the file that is loaded. */
export function globals<F extends Fields>(fields: F): StructView<'Globals', F> {
  const cls = struct('Globals', fields) as unknown as AnyStruct
  const unbound = unboundView(cls)
  const { stand, put } = (generates() ? standInFromSource : standInFromClosures)(cls, unbound)
  let isBound = false
  bindings.set(stand, {
    struct: cls,
    isBound: () => isBound,
    bind: (address) => {
      isBound = address !== 0
      put(isBound ? new cls(address) : unbound)
    },
  })
  return stand as StructView<'Globals', F>
}

/** Something with the fields of a struct, each of which asks the view that was put behind it last. */
interface StandIn {
  stand: AnyView
  put: (view: AnyView) => void
}

/** Whether a field has a value that is replaced, rather than a place of its own that is changed. */
const isAssigned = (cls: AnyStruct, name: string): boolean =>
  !['struct', 'array', 'atomic', undefined].includes(cls.fields[name]?.type.kind)

/** One accessor a field, so that V8 inlines each with the view's own behind it. */
function standInFromSource(cls: AnyStruct, unbound: AnyView): StandIn {
  const accessors = Object.keys(cls.fields).map((name) => {
    const setter = isAssigned(cls, name) ? `set ${name}(value) { at.view.${name} = value }` : ''
    return `get ${name}() { return at.view.${name} } ${setter}`
  })
  const source = `
    const at = { view: unbound }
    class Globals {
      get address() { return at.view.address }
      ${accessors.join('\n')}
    }
    Object.setPrototypeOf(Globals.prototype, cls.prototype)
    return { stand: new Globals(), put: (view) => { at.view = view } }`
  return new Function('cls', 'unbound', source)(cls, unbound) as StandIn
}

/** The same without code from strings. */
function standInFromClosures(cls: AnyStruct, unbound: AnyView): StandIn {
  type Values = { [name: string]: unknown }
  const at = { view: unbound as unknown as Values }
  const prototype = Object.create(cls.prototype) as AnyView
  for (const name of ['address', ...Object.keys(cls.fields)]) {
    const get = (): unknown => at.view[name]
    const set = (value: unknown): void => {
      at.view[name] = value
    }
    Object.defineProperty(prototype, name, isAssigned(cls, name) ? { get, set } : { get })
  }
  return { stand: Object.create(prototype) as AnyView, put: (view) => (at.view = view as unknown as Values) }
}

/** What stands behind globals without memory: every access says so. */
function unboundView(cls: AnyStruct): AnyView {
  const unbound = {}
  for (const name of [...Object.keys(cls.fields), 'address']) {
    const refuse = (): never => {
      throw new Error(
        `globals were used (${name}) while no loaded driver image exports them: ` +
          'write `export const Globals = globals({ … })` in the file that is loaded, and use them only from its routines',
      )
    }
    Object.defineProperty(unbound, name, { get: refuse, set: refuse })
  }
  return unbound as AnyView
}
