/**
 * NTSTATUS values, signed as everywhere (wdm-facts §0.3; the rest after [MS-ERREF] 2.3.1).
 */

export type NTSTATUS = number

export const STATUS_SUCCESS = 0
export const STATUS_WAIT_0 = 0
export const STATUS_WAIT_1 = 1
export const STATUS_WAIT_2 = 2
export const STATUS_WAIT_3 = 3
export const STATUS_WAIT_63 = 0x3f
export const STATUS_ABANDONED = 0x80
export const STATUS_ABANDONED_WAIT_0 = 0x80
export const STATUS_ABANDONED_WAIT_63 = 0xbf
export const STATUS_USER_APC = 0xc0
export const STATUS_ALERTED = 0x101
export const STATUS_TIMEOUT = 0x102
export const STATUS_PENDING = 0x103
export const STATUS_REPARSE = 0x104
export const STATUS_MORE_ENTRIES = 0x105
export const STATUS_NOTIFY_CLEANUP = 0x10b
export const STATUS_NOTIFY_ENUM_DIR = 0x10c
export const STATUS_RESOURCE_REQUIREMENTS_CHANGED = 0x119
export const STATUS_OBJECT_NAME_EXISTS = 0x40000000
export const STATUS_BUFFER_OVERFLOW = 0x80000005 | 0
export const STATUS_NO_MORE_FILES = 0x80000006 | 0
export const STATUS_NO_MORE_ENTRIES = 0x8000001a | 0
export const STATUS_DATATYPE_MISALIGNMENT = 0x80000002 | 0
export const STATUS_DEVICE_BUSY = 0x80000011 | 0
export const STATUS_UNSUCCESSFUL = 0xc0000001 | 0
export const STATUS_NOT_IMPLEMENTED = 0xc0000002 | 0
export const STATUS_INVALID_INFO_CLASS = 0xc0000003 | 0
export const STATUS_INFO_LENGTH_MISMATCH = 0xc0000004 | 0
export const STATUS_ACCESS_VIOLATION = 0xc0000005 | 0
export const STATUS_INVALID_HANDLE = 0xc0000008 | 0
export const STATUS_INVALID_PARAMETER = 0xc000000d | 0
export const STATUS_NO_SUCH_DEVICE = 0xc000000e | 0
export const STATUS_NO_SUCH_FILE = 0xc000000f | 0
export const STATUS_INVALID_DEVICE_REQUEST = 0xc0000010 | 0
export const STATUS_END_OF_FILE = 0xc0000011 | 0
export const STATUS_MORE_PROCESSING_REQUIRED = 0xc0000016 | 0
export const STATUS_NO_MEMORY = 0xc0000017 | 0
export const STATUS_CONFLICTING_ADDRESSES = 0xc0000018 | 0
export const STATUS_ACCESS_DENIED = 0xc0000022 | 0
export const STATUS_BUFFER_TOO_SMALL = 0xc0000023 | 0
export const STATUS_OBJECT_TYPE_MISMATCH = 0xc0000024 | 0
export const STATUS_OBJECT_NAME_INVALID = 0xc0000033 | 0
export const STATUS_OBJECT_NAME_NOT_FOUND = 0xc0000034 | 0
export const STATUS_OBJECT_NAME_COLLISION = 0xc0000035 | 0
export const STATUS_OBJECT_PATH_INVALID = 0xc0000039 | 0
export const STATUS_OBJECT_PATH_NOT_FOUND = 0xc000003a | 0
export const STATUS_OBJECT_PATH_SYNTAX_BAD = 0xc000003b | 0
export const STATUS_DATA_OVERRUN = 0xc000003c | 0
export const STATUS_CRC_ERROR = 0xc000003f | 0
export const STATUS_SHARING_VIOLATION = 0xc0000043 | 0
export const STATUS_MUTANT_NOT_OWNED = 0xc0000046 | 0
export const STATUS_SEMAPHORE_LIMIT_EXCEEDED = 0xc0000047 | 0
export const STATUS_PRIVILEGE_NOT_HELD = 0xc0000061 | 0
export const STATUS_DELETE_PENDING = 0xc0000056 | 0
export const STATUS_INVALID_IMAGE_FORMAT = 0xc000007b | 0
export const STATUS_INSUFFICIENT_RESOURCES = 0xc000009a | 0
export const STATUS_DEVICE_NOT_CONNECTED = 0xc000009d | 0
export const STATUS_DEVICE_NOT_READY = 0xc00000a3 | 0
export const STATUS_IO_TIMEOUT = 0xc00000b5 | 0
export const STATUS_FILE_IS_A_DIRECTORY = 0xc00000ba | 0
export const STATUS_NOT_SUPPORTED = 0xc00000bb | 0
export const STATUS_INVALID_PARAMETER_1 = 0xc00000ef | 0
export const STATUS_INVALID_PARAMETER_2 = 0xc00000f0 | 0
export const STATUS_INVALID_PARAMETER_10 = 0xc00000f8 | 0
export const STATUS_NOT_A_DIRECTORY = 0xc0000103 | 0
export const STATUS_IMAGE_ALREADY_LOADED = 0xc000010e | 0
export const STATUS_CANCELLED = 0xc0000120 | 0
export const STATUS_CANNOT_DELETE = 0xc0000121 | 0
export const STATUS_FILE_DELETED = 0xc0000123 | 0
export const STATUS_FILE_CLOSED = 0xc0000128 | 0
export const STATUS_THREAD_IS_TERMINATING = 0xc000004b | 0
export const STATUS_DRIVER_ENTRYPOINT_NOT_FOUND = 0xc0000263 | 0
export const STATUS_PROCESS_IS_TERMINATING = 0xc000010a | 0
export const STATUS_IO_DEVICE_ERROR = 0xc0000185 | 0
export const STATUS_INVALID_DEVICE_STATE = 0xc0000184 | 0
export const STATUS_MUTANT_LIMIT_EXCEEDED = 0xc0000191 | 0
export const STATUS_NOT_FOUND = 0xc0000225 | 0
export const STATUS_HANDLE_NOT_CLOSABLE = 0xc0000235 | 0
export const STATUS_DRIVER_UNABLE_TO_LOAD = 0xc000026c | 0
/** An alias: a completion routine that returns it lets completion go on. */
export const STATUS_CONTINUE_COMPLETION = STATUS_SUCCESS

/**
 * True for success and informational values: warnings and errors are negative.
 *
 * @irql any
 * @see https://learn.microsoft.com/windows-hardware/drivers/kernel/using-ntstatus-values
 */
export const NT_SUCCESS = (Status: NTSTATUS): boolean => Status >= 0

/**
 * True for informational values, 0x40000000 to 0x7FFFFFFF.
 *
 * @irql any
 * @see https://learn.microsoft.com/windows-hardware/drivers/kernel/using-ntstatus-values
 */
export const NT_INFORMATION = (Status: NTSTATUS): boolean => Status >>> 30 === 1

/**
 * True for warnings, 0x80000000 to 0xBFFFFFFF.
 *
 * @irql any
 * @see https://learn.microsoft.com/windows-hardware/drivers/kernel/using-ntstatus-values
 */
export const NT_WARNING = (Status: NTSTATUS): boolean => Status >>> 30 === 2

/**
 * True for errors, 0xC0000000 to 0xFFFFFFFF.
 *
 * @irql any
 * @see https://learn.microsoft.com/windows-hardware/drivers/kernel/using-ntstatus-values
 */
export const NT_ERROR = (Status: NTSTATUS): boolean => Status >>> 30 === 3
