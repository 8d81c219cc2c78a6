/** HID devices as boards of class `hid`. */
import type { DeviceLayout } from '../classes/device.ts'
import { Hid, type ReportFieldSpec } from '../classes/hid.ts'
import { HidDevice } from '../wire/hid-raw.ts'
import { openHid } from './links/hid.ts'
import { openSoftBoard, type SoftBoard } from './softboard.ts'

export interface HidPlan {
  layout: DeviceLayout
  path: string
  /** Fields of input reports that are interrupt lines. */
  fields: readonly ReportFieldSpec[]
  /** Microseconds. */
  now: () => number
}

export const openHidBoard = ({ layout, path, fields, now }: HidPlan): Promise<SoftBoard> =>
  openSoftBoard(
    (events) => openHid({ path }, events),
    (link) => {
      let lost = 0
      const port = {
        now,
        pause: () => link.pause(),
        resume: () => {
          if (link.lost !== lost) device.add(Hid.LOST, link.lost - lost)
          lost = link.lost
          link.resume()
        },
        sendOutput: (id: number, data: Uint8Array, done: (isDone: boolean) => void) =>
          void tell(
            link.sendOutput(id, data),
            () => done(true),
            () => done(false),
          ),
        sendFeature: (id: number, data: Uint8Array, done: (isDone: boolean) => void) =>
          void tell(
            link.sendFeature(id, data),
            () => done(true),
            () => done(false),
          ),
        getFeature: (id: number, length: number, done: (data: Uint8Array | null) => void) =>
          void tell(link.getFeature(id, length), done, () => done(null)),
      }
      const device: HidDevice = new HidDevice(layout, port, link.descriptor?.isNumbered ?? false, fields)
      return device
    },
  )

async function tell<T>(asked: Promise<T>, done: (result: T) => void, failed: () => void): Promise<void> {
  let result: T
  try {
    result = await asked
  } catch {
    failed()
    return
  }
  done(result)
}
