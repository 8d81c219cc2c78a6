/** Layouts of what the object manager keeps in shared memory. */
import { DISPATCHER_HEADER } from '../ke/layouts.ts'
import { read8 } from '../mm/access.ts'
import { array, LONG, struct, UCHAR, ULONG, USHORT } from '../rtl/struct.ts'
import { UNICODE_STRING } from '../rtl/string.ts'

/** Lies before every object's body; a pointer to an object is the body's address. */
export const OBJECT_HEADER = struct('OBJECT_HEADER', {
  Signature: ULONG, // what makes it an object; another value once it is deleted
  PointerCount: LONG, // atomic
  UserAccess: ULONG, // the rights that user mode can be granted; set before the object has a name
  Type: UCHAR, // index of its type; never changed

  // Guarded by Root.ObLock.
  Flags: UCHAR,
  NameLength: USHORT, // UTF-16 units
  HandleCount: LONG,
  Name: ULONG, // address of the name's units in its directory; 0: nameless
  NameHash: ULONG,
  Directory: ULONG, // the directory that holds the name, and a reference
  NextInBucket: ULONG,
  NextDeleted: ULONG, // in the list of what the reaper deletes
  Reserved: array(ULONG, 2), // keeps bodies aligned to 16
})
export interface OBJECT_HEADER extends InstanceType<typeof OBJECT_HEADER> {}

export const HEADER_SIZE = OBJECT_HEADER.size

/** Bits of OBJECT_HEADER.Flags. */
export const ObjectFlag = { Permanent: 1, Kernel: 2, Inserted: 4 } as const

/** Values of OBJECT_HEADER.Signature. */
export const LIVE_OBJECT = 0x6a624f21
export const DELETED_OBJECT = 0x44624f21

/** Number of the type of `object`. */
export const objectTypeIndex = (object: number): number => read8(headerField(object, 'Type'))

/** Where a field of the header of `object` lies. */
export const headerField = (object: number, field: keyof typeof OBJECT_HEADER.offsets): number =>
  object - HEADER_SIZE + OBJECT_HEADER.offsets[field]

/** Guarded by Root.ObLock. */
export const OBJECT_DIRECTORY = struct('OBJECT_DIRECTORY', {
  Buckets: ULONG, // address of the first object of each bucket
  BucketCount: ULONG, // a power of two, doubled as the directory fills
  Count: ULONG,
})
export interface OBJECT_DIRECTORY extends InstanceType<typeof OBJECT_DIRECTORY> {}

/** Written before the link has a name, never changed after. */
export const OBJECT_SYMBOLIC_LINK = struct('OBJECT_SYMBOLIC_LINK', { LinkTarget: UNICODE_STRING })
export interface OBJECT_SYMBOLIC_LINK extends InstanceType<typeof OBJECT_SYMBOLIC_LINK> {}

/** What an entry of \ObjectTypes is. */
export const OBJECT_TYPE_BODY = struct('OBJECT_TYPE_BODY', { Index: ULONG })
export interface OBJECT_TYPE_BODY extends InstanceType<typeof OBJECT_TYPE_BODY> {}

/** Guarded by its own lock. */
export const HANDLE_TABLE = struct('HANDLE_TABLE', {
  Lock: ULONG,
  Entries: ULONG, // address of the entries; entry 0 is never used
  Capacity: ULONG,
  NextUnused: ULONG, // entries from here on were never used
  FirstFree: ULONG, // freed entries, oldest first; 0: none
  LastFree: ULONG,
  FreeCount: ULONG,
  HandleCount: ULONG,
  Process: ULONG, // whose handles they are
})
export interface HANDLE_TABLE extends InstanceType<typeof HANDLE_TABLE> {}

export const HANDLE_TABLE_ENTRY = struct('HANDLE_TABLE_ENTRY', {
  Object: ULONG, // 0: free
  GrantedAccess: ULONG,
  Attributes: ULONG, // OBJ_INHERIT, OBJ_PROTECT_CLOSE
  NextFree: ULONG,
})

/** One a machine; its address is in Root.ObSpare. */
export const OBJECT_MANAGER = struct('OBJECT_MANAGER', {
  ReaperEvent: DISPATCHER_HEADER, // a synchronization event: there is something to delete
  FirstDeleted: ULONG, // guarded by Root.ObLock
  DeletedCount: LONG, // atomic: objects that wait for the reaper, or that it deletes right now
})

/** Here and not in `ps`, because a handle belongs to the process of the thread that uses it. */
export const EPROCESS = struct('EPROCESS', {
  Header: DISPATCHER_HEADER, // signalled for ever once the process has ended
  UniqueProcessId: ULONG,
  ObjectTable: ULONG, // address of its HANDLE_TABLE; 0 once it has ended
  IsSystemProcess: UCHAR,
  ExitStatus: LONG,
  ImageFileName: UNICODE_STRING,
})
export interface EPROCESS extends InstanceType<typeof EPROCESS> {}
