/**
 * IO_STACK_LOCATION.Parameters: what a request asks, by its function code. One union, so a driver reads only the
 * member of the function that it was called for.
 *
 * Addresses of plain bytes are ULONG here; what points to a struct of another room is a PVOID, which comes back as
 * the struct's view.
 */
import { UNICODE_STRING } from '../rtl/string.ts'
import { CM_RESOURCE_LIST } from './resources.ts'
import { LONGLONG, pointer, PVOID, struct, UCHAR, ULONG, union, USHORT } from '../rtl/struct.ts'

const Create = struct('IO_CREATE', {
  SecurityContext: PVOID,
  Options: ULONG, // disposition in the top byte
  FileAttributes: USHORT,
  ShareAccess: USHORT,
  EaLength: ULONG,
})

/** Read and Write alike. */
const Transfer = struct('IO_TRANSFER', {
  Length: ULONG, // bytes
  Key: ULONG,
  ByteOffset: LONGLONG,
})

const QueryDirectory = struct('IO_QUERY_DIRECTORY', {
  Length: ULONG,
  FileName: pointer(UNICODE_STRING), // the pattern; null on later calls
  FileInformationClass: ULONG,
  FileIndex: ULONG,
})

const NotifyDirectory = struct('IO_NOTIFY_DIRECTORY', {
  Length: ULONG,
  CompletionFilter: ULONG,
})

const QueryFile = struct('IO_QUERY_FILE', { Length: ULONG, FileInformationClass: ULONG })
const SetFile = struct('IO_SET_FILE', { Length: ULONG, FileInformationClass: ULONG, FileObject: PVOID })

const DeviceIoControl = struct('IO_DEVICE_IO_CONTROL', {
  OutputBufferLength: ULONG,
  InputBufferLength: ULONG,
  IoControlCode: ULONG,
  Type3InputBuffer: ULONG,
})

const QueryDeviceRelations = struct('IO_QUERY_DEVICE_RELATIONS', { Type: ULONG })
const QueryInterface = struct('IO_QUERY_INTERFACE', {
  InterfaceType: PVOID,
  Size: USHORT,
  Version: USHORT,
  Interface: PVOID,
  InterfaceSpecificData: PVOID,
})
const DeviceCapabilities = struct('IO_DEVICE_CAPABILITIES', { Capabilities: PVOID })
const FilterResourceRequirements = struct('IO_FILTER_RESOURCES', { IoResourceRequirementList: PVOID })
const ReadWriteConfig = struct('IO_READ_WRITE_CONFIG', {
  WhichSpace: ULONG,
  Buffer: ULONG, // address
  Offset: ULONG,
  Length: ULONG,
})
const SetLock = struct('IO_SET_LOCK', { Lock: UCHAR })
const QueryId = struct('IO_QUERY_ID', { IdType: ULONG })
const QueryDeviceText = struct('IO_QUERY_DEVICE_TEXT', { DeviceTextType: ULONG, LocaleId: ULONG })
const UsageNotification = struct('IO_USAGE_NOTIFICATION', { InPath: UCHAR, Type: ULONG })
const StartDevice = struct('IO_START_DEVICE', {
  AllocatedResources: pointer(CM_RESOURCE_LIST),
  AllocatedResourcesTranslated: pointer(CM_RESOURCE_LIST),
})
const WaitWake = struct('IO_WAIT_WAKE', { PowerState: ULONG })
const Power = struct('IO_POWER', {
  SystemContext: ULONG,
  Type: ULONG, // SystemPowerState 0, DevicePowerState 1
  State: ULONG,
  ShutdownType: ULONG,
})

const Others = struct('IO_OTHERS', { Argument1: PVOID, Argument2: PVOID, Argument3: PVOID, Argument4: PVOID })

export const IO_PARAMETERS = union('IO_PARAMETERS', {
  Create,
  Read: Transfer,
  Write: Transfer,
  QueryDirectory,
  NotifyDirectory,
  QueryFile,
  SetFile,
  DeviceIoControl,
  QueryDeviceRelations,
  QueryInterface,
  DeviceCapabilities,
  FilterResourceRequirements,
  ReadWriteConfig,
  SetLock,
  QueryId,
  QueryDeviceText,
  UsageNotification,
  StartDevice,
  WaitWake,
  Power,
  Others,
})
export interface IO_PARAMETERS extends InstanceType<typeof IO_PARAMETERS> {}

/** Offsets for kernel code, from the stack location's Parameters. */
export const Parameters = {
  Create: Create.offsets,
  Transfer: Transfer.offsets,
  QueryDirectory: QueryDirectory.offsets,
  NotifyDirectory: NotifyDirectory.offsets,
  DeviceIoControl: DeviceIoControl.offsets,
} as const
