/** What the tests of objects have in common: a machine with an object manager, queries, and a look for leaks. */
import { boot } from '../../../machine/index.ts'
import { KeWaitForSingleObject } from '../../../kernel/ke/wait.ts'
import { KeInitializeEvent, NotificationEvent } from '../../../kernel/ke/event.ts'
import { Root } from '../../../kernel/ke/pcr.ts'
import { read32 } from '../../../kernel/mm/access.ts'
import { openHandles } from '../../../kernel/ob/handletable.ts'
import { KEVENT } from '../../../kernel/ke/layouts.ts'
import { allocateStruct, free, poolUsage } from '../../../kernel/mm/pool.ts'
import { objectsToDelete } from '../../../kernel/ob/delete.ts'
import { ObjectBasicInformation, OBJECT_BASIC_INFORMATION, ZwQueryObject } from '../../../kernel/ob/query.ts'

/** Runs `body` as a system thread of a fresh machine, and expects that it leaves no object and no handle behind. */
export async function onMachine<T>(body: () => T | Promise<T>, options: object = {}): Promise<T> {
  await using machine = await boot({ localRoutines: true, build: 'checked', ...options })
  return await machine.run(async () => {
    await settled()
    const before = inUse()
    const result = await body()
    await settled()
    const after = inUse()
    if (after !== before) throw new Error(`the test leaks: in use were ${before}, and are ${after}`)
    return result
  })
}

/** Waits until the reaper has deleted what it was given. */
export async function settled(): Promise<void> {
  const never = allocateStruct(KEVENT, 'Test') as KEVENT
  KeInitializeEvent(never, NotificationEvent, false)
  do await KeWaitForSingleObject(never, 0, 0, false, -10_000)
  while (objectsToDelete() > 0)
  free(never.address)
}

/** What is in use: blocks of the tags that objects, names and processes have, and the kernel's handles. */
function inUse(): string {
  const tags = ['Even', 'Dire', 'Symb', 'Thre', 'Proc', 'ObNm', 'ObDi', 'Muta', 'Sema', 'Test']
  const blocks = poolUsage()
    .filter(({ tag, allocations, frees }) => tags.includes(tag) && allocations !== frees)
    .map(({ tag, allocations, frees, bytes }) => `${tag}: ${allocations - frees} blocks, ${bytes} bytes`)
  return [...blocks.sort(), `${openHandles(read32(Root.ObKernelHandles))} kernel handles`].join('; ')
}

/** What ZwQueryObject reports of a handle: `PointerCount/HandleCount`. */
export function counts(handle: number): string {
  const { PointerCount, HandleCount } = basic(handle)
  return `${PointerCount}/${HandleCount}`
}

export function basic(handle: number): {
  Attributes: number
  GrantedAccess: number
  PointerCount: number
  HandleCount: number
} {
  const information = allocateStruct(OBJECT_BASIC_INFORMATION, 'Test') as OBJECT_BASIC_INFORMATION
  const status = ZwQueryObject(handle, ObjectBasicInformation, information, OBJECT_BASIC_INFORMATION.size, null)
  if (status !== 0) throw new Error(`ZwQueryObject: 0x${(status >>> 0).toString(16)}`)
  const { Attributes, GrantedAccess, PointerCount, HandleCount } = information
  free(information.address)
  return { Attributes, GrantedAccess, PointerCount, HandleCount }
}

/** An empty box. */
export const box = <T>(): { value: T } => ({ value: undefined as T })
