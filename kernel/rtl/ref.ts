/** A field of a struct as an [out] parameter. */

/** Where a routine stores a result: a box (`out()`), or a field of a struct (`ref(view, 'Field')`). */
export interface Out<T> {
  value: T
}

/** What a routine stores through: the field itself, so other processors see it at the moment it is filled. */
class FieldReference<T extends object, K extends keyof T> implements Out<T[K]> {
  readonly #view: T
  readonly #field: K

  constructor(view: T, field: K) {
    this.#view = view
    this.#field = field
  }

  get value(): T[K] {
    return this.#view[this.#field]
  }

  set value(to: T[K]) {
    this.#view[this.#field] = to
  }
}

/** Windows' `&view->Field`: `IoConnectInterrupt({ InterruptObject: ref(ext, 'Interrupt'), … })`. */
export function ref<T extends { readonly address: number }, K extends keyof T>(view: T, field: K): Out<T[K]> {
  return new FieldReference(view, field)
}
