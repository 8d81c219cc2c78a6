/** Layouts of the notify package. All of it is nonpaged: a request may be cancelled at DISPATCH_LEVEL. */
import { FAST_MUTEX } from '../ex/fastmutex.ts'
import { LIST_ENTRY } from '../rtl/list.ts'
import { LONG, PVOID, struct, ULONG, USHORT, type View } from '../rtl/struct.ts'

/** What serializes a volume's notify list. Opaque to drivers, who keep a pointer to it. */
export const NOTIFY_SYNC = struct('NOTIFY_SYNC', {
  FastMutex: FAST_MUTEX,
  // Guarded by the mutex.
  OwningThread: ULONG, // address of the KTHREAD; 0: nobody's
  OwnerCount: ULONG, // times its owner has taken it
  // No lock: atomic.
  Cancelled: ULONG, // newest IRP whose cancel routine found the mutex taken
  References: LONG, // the driver's, one for each notify structure, one for each cancel routine at work
})
export interface NOTIFY_SYNC extends View<typeof NOTIFY_SYNC> {}

/** Membership in a hash table. */
export const HASH_LINK = struct('NOTIFY_HASH_LINK', {
  Next: ULONG, // link of the next member of the bucket
  Place: ULONG, // address of the word that points here: the bucket, or Next of the link before
  Hash: ULONG,
})

export const HASH_TABLE = struct('NOTIFY_HASH_TABLE', {
  Buckets: ULONG, // address of Mask + 1 first links
  Mask: ULONG,
  Count: ULONG,
})

/** What finds the members of one notify list. It lives as long as the list has any; each points to it. */
export const NOTIFY_INDEX = struct('NOTIFY_INDEX', {
  // All guarded by the notify lock.
  Directories: HASH_TABLE, // NOTIFY_DIRECTORY, by parent and last component
  Contexts: HASH_TABLE, // NOTIFY_CHANGE, by FsContext
  Streams: HASH_TABLE, // NOTIFY_CHANGE, by FsContext of its file object
  Suspects: LIST_ENTRY, // NOTIFY_CHANGE whose directory has been renamed, perhaps
  Members: ULONG,
  NarrowMembers: ULONG, // those whose characters are single bytes
  Sequence: ULONG, // of the newest member
})

/** A directory that is watched, or that one below it is. The bytes of its last component follow. */
export const NOTIFY_DIRECTORY = struct('NOTIFY_DIRECTORY', {
  // All guarded by the notify lock.
  Link: HASH_LINK,
  Parent: ULONG, // NOTIFY_DIRECTORY, or one of the kinds of tops
  TreeWatchers: LIST_ENTRY, // NOTIFY_CHANGE.DirectoryEntry
  OwnWatchers: LIST_ENTRY, // the same, of those who do not watch the tree
  Children: LIST_ENTRY, // NOTIFY_DIRECTORY.Siblings
  Siblings: LIST_ENTRY,
  Length: ULONG, // bytes of the component
})

/**
 * A notify structure: one watcher, that is one open of a directory. Guarded by the notify lock; what the first request
 * asked for never changes.
 */
export const NOTIFY_CHANGE = struct('NOTIFY_CHANGE', {
  // What a report touches: one line of the cache, which counts when there are many.
  DirectoryEntry: LIST_ENTRY, // in TreeWatchers or OwnWatchers of its directory
  NotifyIrps: LIST_ENTRY, // pending, the oldest first
  References: LONG, // one of its own, until it is cleaned up, and one for each IRP
  CharacterSize: USHORT, // 1 or 2
  Flags: USHORT,
  CompletionFilter: ULONG, // of the first request
  BufferLength: ULONG, // of the first request: bytes that changes may take; 0: they are not recorded
  FilterCallback: ULONG, // of the first request: routine id
  NameLength: ULONG, // bytes of the directory's name
  Buffer: ULONG, // where changes are recorded; 0: there are none
  BufferIrp: ULONG, // whose buffer that is; 0: it is the structure's own, in paged pool
  ThisBufferLength: ULONG,
  DataLength: ULONG, // bytes recorded
  LastEntry: ULONG, // offset of the last record
  Sequence: ULONG, // members of a list by age

  // The rest.
  NotifySync: ULONG,
  Index: ULONG,
  Directory: ULONG, // NOTIFY_DIRECTORY
  NotifyList: LIST_ENTRY,
  ContextLink: HASH_LINK,
  StreamLink: HASH_LINK,
  SuspectEntry: LIST_ENTRY,
  StreamId: ULONG, // address of the file object's FsContext
  FullDirectoryName: ULONG, // the driver's counted string; 0: it has none, or gave a literal
  TraverseCallback: ULONG, // of the first request: routine id
  FsContext: PVOID,
  SubjectContext: PVOID, // of the first request
})

export const Sync = NOTIFY_SYNC.offsets
export const Link = HASH_LINK.offsets
export const Table = HASH_TABLE.offsets
export const Index = NOTIFY_INDEX.offsets
export const Directory = NOTIFY_DIRECTORY.offsets
export const Change = NOTIFY_CHANGE.offsets

/** NOTIFY_CHANGE.Flags */
export const WATCH_TREE = 0x01
export const CLEANUP_IN_PROCESS = 0x02
export const DELETE_IN_PROCESS = 0x04
/** Changes were lost: the next completion says STATUS_NOTIFY_ENUM_DIR. */
export const NOTIFY_IMMEDIATELY = 0x08
/** The old name of a rename is recorded, the new one is still to come. */
export const AWAITS_NEW_NAME = 0x10
export const IS_SUSPECT = 0x20
