/** Serial ports as boards: of class `uart`, with their modem lines, and of class `lines`, for sketches that print text. */
import type { DeviceLayout } from '../classes/device.ts'
import type { PatternSpec } from '../classes/lines.ts'
import type { UartSettings } from '../classes/uart.ts'
import { TextDevice } from '../wire/text.ts'
import { UartDevice } from '../wire/uart.ts'
import { openSerial, type SerialLink, type SerialOptions } from './links/serial.ts'
import { openSoftBoard, type SoftBoard } from './softboard.ts'

/** What both kinds of board are made from. */
export interface PortPlan {
  layout: DeviceLayout
  serial: SerialOptions
  /** Microseconds. */
  now: () => number
}

export const openUart = ({ layout, serial, now }: PortPlan): Promise<SoftBoard> =>
  openSoftBoard(
    (events) => openSerial({ ...serial, modem: true }, events),
    (link) => {
      const device: UartDevice = new UartDevice(
        layout,
        portOf(link, now, (text) => device.log(text)),
        link.modem?.counted,
      )
      link.modem?.onChange((counts, levels, errors) => device.modem(counts, levels, errors))
      return device
    },
  )

export const openText = ({ layout, serial, now }: PortPlan, patterns: readonly PatternSpec[]): Promise<SoftBoard> =>
  openSoftBoard(
    (events) => openSerial(serial, events),
    (link) =>
      new TextDevice(
        layout,
        portOf(link, now, () => {}),
        patterns,
      ),
  )

/** A link as a device sees it. What the device asks of a port that is gone is dropped: its driver hears so otherwise. */
function portOf(link: SerialLink, now: () => number, log: (text: string) => void) {
  const failed = (error: Error): void => {
    if (link.isOpen) log(error.message)
  }
  return {
    now,
    send: (bytes: Uint8Array) => {
      if (link.isOpen) link.write(bytes)
    },
    pause: () => link.pause(),
    resume: () => link.resume(),
    control: (lines: { dtr: boolean; rts: boolean; brk: boolean }) => void link.setLines(lines).catch(failed),
    configure: (baud: number, settings: UartSettings) => {
      if (isFramed(link, settings)) link.setBaudRate(baud).catch(failed)
      else
        log(
          'LINE_CONTROL cannot change while the port is open: give dataBits, stopBits, parity and flow in the board file',
        )
    },
  }
}

const isFramed = ({ framing }: SerialLink, { dataBits, stopBits, parity, rtsCts, xonXoff }: UartSettings): boolean =>
  framing.dataBits === dataBits &&
  framing.stopBits === stopBits &&
  framing.parity === parity.toLowerCase() &&
  framing.rtscts === rtsCts &&
  framing.xonxoff === xonXoff
