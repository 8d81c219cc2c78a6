/** Plug and Play requests that the manager seldom sends, one by one, to the device that a name leads to. */
import {
  type DEVICE_OBJECT,
  FILE_READ_DATA,
  type FILE_OBJECT,
  IoGetDeviceObjectPointer,
  ObDereferenceObject,
  out,
} from '../../../ddi/wdm.ts'
import { IRP_MN_CANCEL_STOP_DEVICE, IRP_MN_QUERY_STOP_DEVICE, IRP_MN_STOP_DEVICE } from '../../../kernel/io/codes.ts'
import { bottomOf, Node, nodeOf } from '../../../kernel/io/devnode.ts'
import { sendPnp, sendStart } from '../../../kernel/io/pnpirp.ts'
import { read32 } from '../../../kernel/mm/access.ts'

async function pdoOf(name: string): Promise<number> {
  const file = out<FILE_OBJECT | null>()
  const device = out<DEVICE_OBJECT | null>()
  const status = await IoGetDeviceObjectPointer(`\\??\\${name}`, FILE_READ_DATA, file, device)
  if (file.value === null || device.value === null) throw new Error(`${name} cannot be opened: status ${status}`)
  const pdo = bottomOf(device.value.address)
  ObDereferenceObject(file.value)
  return pdo
}

async function send(name: string, minor: number): Promise<number> {
  const { status } = await sendPnp(await pdoOf(name), minor)
  return status
}

export const queryStop = (name: string): Promise<number> => send(name, IRP_MN_QUERY_STOP_DEVICE)
export const cancelStop = (name: string): Promise<number> => send(name, IRP_MN_CANCEL_STOP_DEVICE)
export const stop = (name: string): Promise<number> => send(name, IRP_MN_STOP_DEVICE)

/** With the resources that it had. */
export async function start(name: string): Promise<number> {
  const pdo = await pdoOf(name)
  return sendStart(pdo, read32(nodeOf(pdo) + Node.Resources))
}
