/** The object manager begins: its control block, the kernel's handle table, and the directories that always exist. */
import { Root } from '../ke/pcr.ts'
import { read32, write32 } from '../mm/access.ts'
import { allocate } from '../mm/pool.ts'
import { type NTSTATUS, STATUS_INSUFFICIENT_RESOURCES, STATUS_SUCCESS } from '../rtl/status.ts'
import { READ_CONTROL } from './access.ts'
import { type Captured, captureAttributes, OBJ_PERMANENT } from './attributes.ts'
import { DIRECTORY_ALL_ACCESS, directoryType, initializeDirectory } from './directory.ts'
import { initializeReaper } from './delete.ts'
import { createHandleTable } from './handletable.ts'
import { OBJECT_DIRECTORY, OBJECT_MANAGER, OBJECT_TYPE_BODY } from './layouts.ts'
import { createLink } from './linkservices.ts'
import { createObject, insertObject } from './object.ts'
import { dereferenceObject } from './reference.ts'
import { registerObjectType, typeNames } from './type.ts'

const typeType = registerObjectType({
  name: 'Type',
  view: OBJECT_TYPE_BODY,
  tag: 'ObjT',
  mapping: { read: READ_CONTROL, write: READ_CONTROL, execute: READ_CONTROL, all: 0xf0001 },
  userAccess: 0,
})

const DIRECTORIES = ['\\ObjectTypes', '\\Device', '\\Driver', '\\FileSystem', '\\Callback', '\\KernelObjects', '\\??']

/** Other names of the directory of user-visible device names. */
const DEVICE_NAME_LINKS = ['\\DosDevices', '\\GLOBAL??', '\\??\\Global']

/** Once a machine, on processor 0, after the pool and before the first thread object. */
export function initializeObjectManager(): void {
  write32(Root.ObSpare, allocate(OBJECT_MANAGER.size, 'ObMg'))
  initializeReaper()
  write32(Root.ObKernelHandles, createHandleTable(0))
  write32(Root.ObRootDirectory, makeDirectory(permanent(null)))
  for (const path of DIRECTORIES) makePermanentDirectory(path)
  for (const path of DEVICE_NAME_LINKS) makePermanentLink(path, '\\??')
  typeNames.forEach((name, index) => {
    if (index > 0) makeTypeObject(name, index)
  })
}

const permanent = (name: string | null): Captured =>
  captureAttributes({ ObjectName: name, Attributes: OBJ_PERMANENT }, 0)

function makeDirectory(attributes: Captured): number {
  const directory = createObject(directoryType, OBJECT_DIRECTORY.size, { attributes })
  initializeDirectory(directory)
  return directory
}

function makePermanentDirectory(path: string, userAccess: number | null = null): void {
  const attributes = { ...permanent(path), userAccess }
  keepByName(makeDirectory(attributes), attributes)
}

function makePermanentLink(path: string, target: string): void {
  const attributes = permanent(path)
  keepByName(createLink(target, attributes, 0), attributes)
}

function makeTypeObject(name: string, index: number): void {
  const attributes = permanent(`\\ObjectTypes\\${name}`)
  const object = createObject(typeType, OBJECT_TYPE_BODY.size, { attributes })
  write32(object + OBJECT_TYPE_BODY.offsets.Index, index)
  keepByName(object, attributes)
}

/** From here on the name alone keeps the object. */
function keepByName(object: number, attributes: Captured): NTSTATUS {
  if (object === 0) return STATUS_INSUFFICIENT_RESOURCES
  const inserted = insertObject(object, { attributes, access: 0, mode: 0, wantsHandle: false })
  if (inserted.status === STATUS_SUCCESS) dereferenceObject(object)
  return inserted.status
}

/**
 * Makes \BaseNamedObjects, which programs and drivers share, as the Win32 subsystem does when it starts: after the
 * boot drivers. User mode may create objects there.
 */
export function createBaseNamedObjects(): void {
  makePermanentDirectory('\\BaseNamedObjects', DIRECTORY_ALL_ACCESS)
  for (const alias of ['Global', 'Local']) makePermanentLink(`\\BaseNamedObjects\\${alias}`, '\\BaseNamedObjects')
}

/** Whether `initializeObjectManager` has run on this machine. */
export const hasObjectManager = (): boolean => read32(Root.ObRootDirectory) !== 0
