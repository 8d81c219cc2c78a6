/** Which driver serves which hardware ids. What an INF file says on Windows, a driver image says by `hardwareIds`. */
import { read32, write32 } from '../mm/access.ts'
import { allocate, free } from '../mm/pool.ts'
import { acquireWord, releaseWord } from '../ke/spin.ts'
import { allocateText, freeText, readText } from '../ob/attributes.ts'
import { dereferenceObject, referenceObject } from '../ob/reference.ts'
import { type NTSTATUS, STATUS_INSUFFICIENT_RESOURCES, STATUS_SUCCESS } from '../rtl/status.ts'
import { struct, ULONG } from '../rtl/struct.ts'
import { Action, doAction, Manager, manager, queueAction } from './pnpqueue.ts'

/** Guarded by the PnP manager's lock. */
const PNP_DRIVER_IDS = struct('PNP_DRIVER_IDS', {
  Next: ULONG,
  DriverObject: ULONG, // and a reference
  Text: ULONG, // ids, each with a NUL behind it
  Length: ULONG, // UTF-16 units
})
const Ids = PNP_DRIVER_IDS.offsets
const TAG = 'PpId'

/**
 * Says which devices a driver is for; those that wait for one are given to it.
 *
 * @irql <= DISPATCH_LEVEL
 */
export function registerHardwareIds(driver: number, hardwareIds: readonly string[]): NTSTATUS {
  const text = hardwareIds.map((id) => `${id.toLowerCase()}\0`).join('')
  const ids = allocate(PNP_DRIVER_IDS.size, TAG)
  const units = ids === 0 ? 0 : allocateText(text)
  if (units === 0) {
    if (ids !== 0) free(ids, TAG)
    return STATUS_INSUFFICIENT_RESOURCES
  }
  referenceObject(driver)
  write32(ids + Ids.DriverObject, driver)
  write32(ids + Ids.Text, units)
  write32(ids + Ids.Length, text.length)
  const pnp = manager()
  acquireWord(pnp + Manager.Lock)
  write32(ids + Ids.Next, read32(pnp + Manager.Ids))
  write32(pnp + Manager.Ids, ids)
  releaseWord(pnp + Manager.Lock)
  return queueAction(Action.Rescan, 0) ? STATUS_SUCCESS : STATUS_INSUFFICIENT_RESOURCES
}

/** The driver for a device with these ids, the best match first; 0 when none is loaded. */
export function findDriver(ids: readonly string[]): number {
  const declared = declaredIds()
  for (const id of ids) {
    const match = declared.find(({ known }) => known.includes(id.toLowerCase()))
    if (match !== undefined) return match.driver
  }
  return 0
}

function declaredIds(): { driver: number; known: string[] }[] {
  const all: { driver: number; known: string[] }[] = []
  const pnp = manager()
  acquireWord(pnp + Manager.Lock)
  for (let ids = read32(pnp + Manager.Ids); ids !== 0; ids = read32(ids + Ids.Next)) {
    const known = readText(read32(ids + Ids.Text), read32(ids + Ids.Length)).split('\0')
    all.push({ driver: read32(ids + Ids.DriverObject), known })
  }
  releaseWord(pnp + Manager.Lock)
  return all
}

/**
 * Removes the devices of a driver that is to be unloaded, and forgets its ids.
 *
 * @irql PASSIVE_LEVEL
 * @returns STATUS_SUCCESS; what a driver refused its removal with, or STATUS_UNSUCCESSFUL when a device is open: then
 *   the driver stays as it is
 */
export async function releaseDriverDevices(driver: number): Promise<NTSTATUS> {
  const ids = unlinkIds(driver)
  const status = await doAction(Action.RemoveDriver, driver)
  if (status !== STATUS_SUCCESS) {
    relink(ids)
    return status
  }
  for (const one of ids) {
    freeText(read32(one + Ids.Text))
    free(one, TAG)
    dereferenceObject(driver)
  }
  return status
}

/** Takes a driver's ids out, so that nothing is given to it meanwhile. */
function unlinkIds(driver: number): number[] {
  const mine: number[] = []
  const pnp = manager()
  acquireWord(pnp + Manager.Lock)
  for (let link = pnp + Manager.Ids; read32(link) !== 0; ) {
    const ids = read32(link)
    if (read32(ids + Ids.DriverObject) === driver) {
      write32(link, read32(ids + Ids.Next))
      mine.push(ids)
    } else {
      link = ids + Ids.Next
    }
  }
  releaseWord(pnp + Manager.Lock)
  return mine
}

function relink(ids: readonly number[]): void {
  const pnp = manager()
  acquireWord(pnp + Manager.Lock)
  for (const one of ids) {
    write32(one + Ids.Next, read32(pnp + Manager.Ids))
    write32(pnp + Manager.Ids, one)
  }
  releaseWord(pnp + Manager.Lock)
}
