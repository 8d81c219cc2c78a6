/** What a file system tells of its files: the layouts of ntifs.h, and the attributes in them. */
import { array, LONGLONG, struct, UCHAR, ULONG, type View, WCHAR } from '../rtl/struct.ts'

/** FILE_INFORMATION_CLASS of a query about one file. */
export const FileStandardInformation = 5

export const FILE_ATTRIBUTE_READONLY = 0x1
export const FILE_ATTRIBUTE_DIRECTORY = 0x10
export const FILE_ATTRIBUTE_NORMAL = 0x80

/** FileStandardInformation. */
export const FILE_STANDARD_INFORMATION = struct('FILE_STANDARD_INFORMATION', {
  AllocationSize: LONGLONG,
  EndOfFile: LONGLONG, // bytes
  NumberOfLinks: ULONG,
  DeletePending: UCHAR,
  Directory: UCHAR,
})
export interface FILE_STANDARD_INFORMATION extends View<typeof FILE_STANDARD_INFORMATION> {}

/** How each entry of a directory begins, but for FileNamesInformation. NextEntryOffset is 0 in the last one. */
const ENTRY = {
  NextEntryOffset: ULONG,
  FileIndex: ULONG,
  CreationTime: LONGLONG,
  LastAccessTime: LONGLONG,
  LastWriteTime: LONGLONG,
  ChangeTime: LONGLONG,
  EndOfFile: LONGLONG,
  AllocationSize: LONGLONG,
  FileAttributes: ULONG,
  FileNameLength: ULONG, // bytes
} as const

/** FileDirectoryInformation; the name goes on behind the struct. */
export const FILE_DIRECTORY_INFORMATION = struct('FILE_DIRECTORY_INFORMATION', { ...ENTRY, FileName: array(WCHAR, 1) })
export interface FILE_DIRECTORY_INFORMATION extends View<typeof FILE_DIRECTORY_INFORMATION> {}

/** FileFullDirectoryInformation. */
export const FILE_FULL_DIR_INFORMATION = struct('FILE_FULL_DIR_INFORMATION', {
  ...ENTRY,
  EaSize: ULONG,
  FileName: array(WCHAR, 1),
})
export interface FILE_FULL_DIR_INFORMATION extends View<typeof FILE_FULL_DIR_INFORMATION> {}

/** FileBothDirectoryInformation. */
export const FILE_BOTH_DIR_INFORMATION = struct('FILE_BOTH_DIR_INFORMATION', {
  ...ENTRY,
  EaSize: ULONG,
  ShortNameLength: UCHAR,
  ShortName: array(WCHAR, 12),
  FileName: array(WCHAR, 1),
})
export interface FILE_BOTH_DIR_INFORMATION extends View<typeof FILE_BOTH_DIR_INFORMATION> {}

/** FileNamesInformation. */
export const FILE_NAMES_INFORMATION = struct('FILE_NAMES_INFORMATION', {
  NextEntryOffset: ULONG,
  FileIndex: ULONG,
  FileNameLength: ULONG, // bytes
  FileName: array(WCHAR, 1),
})
export interface FILE_NAMES_INFORMATION extends View<typeof FILE_NAMES_INFORMATION> {}
