/**
 * Directories: names of objects, in buckets that grow with their number so that 100,000 names are found like ten.
 *
 * Callers hold Root.ObLock, but for `createDirectory` and what the type's procedures do.
 */
import { read16, read32, write16, write32 } from '../mm/access.ts'
import { mem } from '../mm/memory.ts'
import { allocate, free } from '../mm/pool.ts'
import { RtlUpcaseUnicodeChar } from '../rtl/string.ts'
import { READ_CONTROL, STANDARD_RIGHTS_READ, STANDARD_RIGHTS_REQUIRED, STANDARD_RIGHTS_WRITE } from './access.ts'
import { freeText, readText } from './attributes.ts'
import { headerField, OBJECT_DIRECTORY } from './layouts.ts'
import { registerObjectType } from './type.ts'

export const DIRECTORY_QUERY = 0x0001
export const DIRECTORY_TRAVERSE = 0x0002
export const DIRECTORY_CREATE_OBJECT = 0x0004
export const DIRECTORY_CREATE_SUBDIRECTORY = 0x0008
export const DIRECTORY_ALL_ACCESS = STANDARD_RIGHTS_REQUIRED | 0xf

const { Buckets, BucketCount, Count } = OBJECT_DIRECTORY.offsets
const FIRST_BUCKETS = 16
const BUCKET_TAG = 'ObDi'

export const directoryType = registerObjectType({
  name: 'Directory',
  view: OBJECT_DIRECTORY,
  tag: 'Dire',
  mapping: {
    read: STANDARD_RIGHTS_READ | DIRECTORY_QUERY | DIRECTORY_TRAVERSE,
    write: STANDARD_RIGHTS_WRITE | DIRECTORY_CREATE_OBJECT | DIRECTORY_CREATE_SUBDIRECTORY,
    execute: READ_CONTROL | DIRECTORY_QUERY | DIRECTORY_TRAVERSE,
    all: DIRECTORY_ALL_ACCESS,
  },
  userAccess: READ_CONTROL | DIRECTORY_QUERY | DIRECTORY_TRAVERSE,
  delete: (directory) => {
    if (read32(directory + Buckets) !== 0) free(read32(directory + Buckets), BUCKET_TAG)
  },
})

/** Gives a new directory its buckets; false if there is no memory. */
export function initializeDirectory(directory: number): boolean {
  const buckets = allocate(FIRST_BUCKETS * 4, BUCKET_TAG)
  if (buckets === 0) return false
  write32(directory + Buckets, buckets)
  write32(directory + BucketCount, FIRST_BUCKETS)
  return true
}

/** FNV-1a over the upper-cased units, so that names which differ in case only share a bucket. */
export function hashName(name: string): number {
  let hash = 0x811c9dc5
  for (let index = 0; index < name.length; index++) hash = Math.imul(hash ^ upcase(name.charCodeAt(index)), 0x01000193)
  return (hash ^ (hash >>> 15)) | 0
}

function upcase(unit: number): number {
  if (unit < 0x80) return unit >= 0x61 && unit <= 0x7a ? unit - 0x20 : unit
  return RtlUpcaseUnicodeChar(unit)
}

const bucketOf = (directory: number, hash: number): number =>
  read32(directory + Buckets) + (hash & (read32(directory + BucketCount) - 1)) * 4

/** The object of that name; 0 if there is none. */
export function findEntry(directory: number, name: string, hash: number, ignoreCase: boolean): number {
  let object = read32(bucketOf(directory, hash))
  while (object !== 0) {
    if (read32(headerField(object, 'NameHash')) === hash && isNamed(object, name, ignoreCase)) return object
    object = read32(headerField(object, 'NextInBucket'))
  }
  return 0
}

function isNamed(object: number, name: string, ignoreCase: boolean): boolean {
  if (read16(headerField(object, 'NameLength')) !== name.length) return false
  const first = read32(headerField(object, 'Name')) >> 1
  for (let index = 0; index < name.length; index++) {
    const unit = mem.u16[first + index] as number
    const wanted = name.charCodeAt(index)
    if (unit !== wanted && !(ignoreCase && upcase(unit) === upcase(wanted))) return false
  }
  return true
}

/** Puts `object` under a name whose units are at `text`. The directory's references are the caller's business. */
export function insertEntry(directory: number, object: number, text: number, length: number, hash: number): void {
  const bucket = bucketOf(directory, hash)
  write32(headerField(object, 'Name'), text)
  write16(headerField(object, 'NameLength'), length)
  write32(headerField(object, 'NameHash'), hash)
  write32(headerField(object, 'Directory'), directory)
  write32(headerField(object, 'NextInBucket'), read32(bucket))
  write32(bucket, object)
  const count = read32(directory + Count) + 1
  write32(directory + Count, count)
  if (count > 2 * read32(directory + BucketCount)) grow(directory)
}

/** Takes `object` out of its directory; its Directory field is 0 then. */
export function removeEntry(object: number): void {
  const directory = read32(headerField(object, 'Directory'))
  let link = bucketOf(directory, read32(headerField(object, 'NameHash')))
  while (read32(link) !== object) link = headerField(read32(link), 'NextInBucket')
  write32(link, read32(headerField(object, 'NextInBucket')))
  write32(directory + Count, read32(directory + Count) - 1)
  write32(headerField(object, 'Directory'), 0)
}

/** Twice the buckets; without memory for them the directory stays as it is, only slower. */
function grow(directory: number): void {
  const old = read32(directory + Buckets)
  const count = read32(directory + BucketCount)
  const buckets = allocate(count * 8, BUCKET_TAG)
  if (buckets === 0) return
  write32(directory + Buckets, buckets)
  write32(directory + BucketCount, count * 2)
  for (let index = 0; index < count; index++) {
    let next
    for (let object = read32(old + index * 4); object !== 0; object = next) {
      next = read32(headerField(object, 'NextInBucket'))
      const bucket = bucketOf(directory, read32(headerField(object, 'NameHash')))
      write32(headerField(object, 'NextInBucket'), read32(bucket))
      write32(bucket, object)
    }
  }
  free(old, BUCKET_TAG)
}

/** The objects in a directory from the `start`th on, at most `most` of them. */
export function listEntries(directory: number, start: number, most: number): number[] {
  const objects: number[] = []
  let place = 0
  for (let bucket = 0; bucket < read32(directory + BucketCount); bucket++) {
    let object = read32(read32(directory + Buckets) + bucket * 4)
    for (; object !== 0; object = read32(headerField(object, 'NextInBucket'))) {
      if (place >= start) objects.push(object)
      if (objects.length >= most) return objects
      place += 1
    }
  }
  return objects
}

export const entryCount = (directory: number): number => read32(directory + Count)

/** The object's own name, without its directory's. */
export const nameOf = (object: number): string =>
  readText(read32(headerField(object, 'Name')), read16(headerField(object, 'NameLength')))

/** Frees the text of a name that is in no directory. */
export function freeName(object: number): void {
  freeText(read32(headerField(object, 'Name')))
  write32(headerField(object, 'Name'), 0)
}
