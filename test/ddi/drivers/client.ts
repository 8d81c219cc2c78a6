/** Writes to the sample's device, as another driver would. */
import {
  FILE_GENERIC_WRITE,
  HANDLE,
  IO_STATUS_BLOCK,
  OBJ_KERNEL_HANDLE,
  globals,
  NT_SUCCESS,
  out,
  ZwClose,
  ZwOpenFile,
  ZwWriteFile,
} from 'dirql/wdm'

export const Globals = globals({ block: IO_STATUS_BLOCK })

/** @returns what the write says it wrote, or the status that failed */
export async function write(length: number): Promise<number> {
  const handle = out<HANDLE>()
  const opened = await ZwOpenFile({
    FileHandle: handle,
    DesiredAccess: FILE_GENERIC_WRITE,
    ObjectAttributes: { ObjectName: '\\??\\Button', Attributes: OBJ_KERNEL_HANDLE },
    IoStatusBlock: Globals.block,
    ShareAccess: 0,
    OpenOptions: 0,
  })
  if (!NT_SUCCESS(opened)) return opened
  const written = await ZwWriteFile({
    FileHandle: handle.value,
    Event: null,
    ApcRoutine: null,
    ApcContext: null,
    IoStatusBlock: Globals.block,
    Buffer: Globals.block,
    Length: length,
    ByteOffset: null,
    Key: null,
  })
  await ZwClose(handle.value)
  return NT_SUCCESS(written) ? Globals.block.Information : written
}
