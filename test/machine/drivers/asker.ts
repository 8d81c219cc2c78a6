/** Asks a board for a register, again and again, until it is told that the board is gone. */
import {
  MmMapIoSpace,
  MmNonCached,
  MmUnmapIoSpace,
  NT_SUCCESS,
  type NTSTATUS,
  out,
  readFresh,
  STATUS_INSUFFICIENT_RESOURCES,
  STATUS_SUCCESS,
} from 'dirql/wdm'

const BYTES = 4

export async function askUntilGone(window: number): Promise<NTSTATUS> {
  const register = MmMapIoSpace(window, BYTES, MmNonCached)
  if (register === 0) return STATUS_INSUFFICIENT_RESOURCES
  const value = out<number>()
  let status: NTSTATUS = STATUS_SUCCESS
  while (NT_SUCCESS(status)) status = await readFresh(register, value)
  MmUnmapIoSpace(register, BYTES)
  return status
}
