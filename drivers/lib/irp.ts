/** Small things that drivers do with requests. */
import {
  array,
  IO_NO_INCREMENT,
  IoCompleteRequest,
  IoGetCurrentIrpStackLocation,
  type IRP,
  type NTSTATUS,
  STATUS_BUFFER_TOO_SMALL,
  STATUS_SUCCESS,
  struct,
  UCHAR,
} from 'dirql/wdm'

/** Bytes of memory, for requests' buffers: the length is the request's. */
export const BYTES = struct('BYTES', { Data: array(UCHAR, 0x10000) })

export function complete(Irp: IRP, status: NTSTATUS, information = 0): NTSTATUS {
  Irp.IoStatus.Status = status
  Irp.IoStatus.Information = information
  IoCompleteRequest(Irp, IO_NO_INCREMENT)
  return status
}

/** Completes a buffered read with ASCII text. */
export function completeWithText(Irp: IRP, text: string): NTSTATUS {
  const { Length } = IoGetCurrentIrpStackLocation(Irp).Parameters.Read
  if (Length < text.length) return complete(Irp, STATUS_BUFFER_TOO_SMALL)
  const { Data } = new BYTES(Irp.AssociatedIrp.SystemBuffer)
  for (let index = 0; index < text.length; index++) Data[index] = text.charCodeAt(index)
  return complete(Irp, STATUS_SUCCESS, text.length)
}
