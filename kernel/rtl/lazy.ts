/** Accessors that are made when something first looks for one: most structs of a machine are never seen as a view. */

const waiting = new WeakMap<object, () => PropertyDescriptorMap>()

/** Has `prototype` get the properties that `make` makes before anybody can see that they were not there. */
export function addWhenUsed(prototype: object, make: () => PropertyDescriptorMap): void {
  waiting.set(prototype, make)
  // What `prototype` itself lacks is looked for here.
  const first = new Proxy(Object.prototype, {
    get(_target, name, view) {
      addNow(prototype)
      return Reflect.get(prototype, name, view) as unknown
    },
    set(_target, name, value, view) {
      addNow(prototype)
      return Reflect.set(prototype, name, value, view)
    },
    has(_target, name) {
      addNow(prototype)
      return Reflect.has(prototype, name)
    },
  })
  Object.setPrototypeOf(prototype, first)
}

/** Adds them if they are not there yet. */
export function addNow(prototype: object): void {
  const make = waiting.get(prototype)
  if (make === undefined) return
  waiting.delete(prototype)
  Object.setPrototypeOf(prototype, Object.prototype)
  Object.defineProperties(prototype, make())
}
