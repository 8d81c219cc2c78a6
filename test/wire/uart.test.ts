import { describe, expect, test } from 'vitest'
import { Uart, uartClass, uartLineControl } from '../../classes/uart.ts'
import { UartDevice } from '../../wire/uart.ts'
import { ascii, layoutOf, Seen } from './seen.ts'

const LOW = { cts: false, dsr: false, ri: false, dcd: false }
const NONE = { cts: 0, dsr: 0, ri: 0, dcd: 0 }
const FINE = { frame: 0, parity: 0, overrun: 0, break: 0 }
const Line = { DATA: 0, TRANSMIT: 1, CTS: 2, RI: 4 }

function port() {
  const seen = new Seen()
  const did: string[] = []
  const sent: number[] = []
  const device = new UartDevice(
    layoutOf(uartClass),
    {
      now: () => 1234,
      send: (bytes) => sent.push(...bytes),
      pause: () => did.push('pause'),
      resume: () => did.push('resume'),
      control: (lines) => did.push(JSON.stringify(lines)),
      configure: (baud, settings) => did.push(`${baud} ${settings.dataBits}${settings.parity[0]}${settings.stopBits}`),
    },
    ['cts', 'ri'],
  )
  device.connect(seen)
  for (let line = 0; line < 6; line++) device.enableLine(line)
  return { device, seen, sent, did }
}

describe('a serial port', () => {
  test('gives bytes to the host before the frame that counts them', () => {
    const { device, seen } = port()
    device.credit(0, Uart.DATA, 4096)
    device.receive(ascii('hello'))
    expect(seen.text).toBe('hello')
    expect(seen.of(Line.DATA)).toEqual(['0: 1 [5 0 0 0 0]'])
    device.receive(ascii(' you'))
    expect(seen.of(Line.DATA).length).toBe(1) // one frame in flight
    device.endOfInterrupt(Line.DATA, 0)
    expect(seen.of(Line.DATA)[1]).toBe('1: 2 [9 0 0 0 0]')
  })

  test('is paused while the host has no room, and loses nothing', () => {
    const { device, seen, did } = port()
    device.credit(0, Uart.DATA, 3)
    device.receive(ascii('abcdef'))
    expect([seen.text, device.get(Uart.RECEIVED), did.at(-1)]).toEqual(['abc', 3, 'pause'])
    device.credit(0, Uart.DATA, 1)
    expect([seen.text, did.at(-1)]).toEqual(['abcd', 'pause'])
    device.credit(0, Uart.DATA, 10)
    expect([seen.text, device.get(Uart.RECEIVED), did.at(-1)]).toEqual(['abcdef', 6, 'resume'])
  })

  test('counts an overrun when bytes come although it is paused, and takes no memory for them', () => {
    const { device } = port()
    for (let count = 0; count < 100; count++) device.receive(new Uint8Array(1000))
    expect(device.get(Uart.OVERRUNS)).toBe(1)
  })

  test('counts what it sends, and interrupts when half of the transmitter is free, and when it is empty', () => {
    const { device, seen, sent } = port()
    for (let byte = 0; byte < 200; byte++) device.write(0, Uart.DATA, byte)
    expect([sent.length, device.get(Uart.WRITTEN), device.get(Uart.ROOM)]).toEqual([200, 200, 256])
    device.sent(150)
    expect([device.get(Uart.ROOM), seen.of(Line.TRANSMIT)]).toEqual([306, []])
    device.sent(100)
    expect(seen.of(Line.TRANSMIT)).toEqual(['0: 1 [356 200]'])
    device.endOfInterrupt(Line.TRANSMIT, 0)
    device.sent(20)
    expect(seen.of(Line.TRANSMIT).length).toBe(1)
    device.sent(0)
    expect(seen.of(Line.TRANSMIT)[1]).toBe('1: 2 [456 200]')
  })

  test('drops what is written beyond ROOM, and says so', () => {
    const { device, seen, sent } = port()
    for (let byte = 0; byte < 300; byte++) device.write(0, Uart.DATA, byte)
    expect([sent.length, device.get(Uart.WRITTEN), seen.logs.length]).toEqual([256, 256, 1])
  })

  test('is configured and controlled; what is out of range changes nothing', () => {
    const { device, seen, did } = port()
    const settings = { dataBits: 7, stopBits: 2, parity: 'EVEN', rtsCts: false, xonXoff: false } as const
    device.write(0, Uart.LINE_CONTROL, uartLineControl(settings))
    device.write(0, Uart.BAUD, 9600)
    device.write(0, Uart.MODEM_CONTROL, 5)
    expect(did).toEqual(['115200 7E2', '9600 7E2', '{"dtr":true,"rts":false,"brk":true}'])
    device.write(0, Uart.LINE_CONTROL, 0)
    expect(did.length).toBe(3)
    expect(seen.logs).toEqual([expect.stringContaining('out of range')])
  })

  test('has an edge for each change of a modem line, also for those between two looks', () => {
    const { device, seen } = port()
    device.modem({ cts: 7, dsr: 0, ri: 0, dcd: 0 }, LOW, FINE) // what was before the session is not counted
    device.modem({ cts: 12, dsr: 0, ri: 2, dcd: 0 }, { ...LOW, cts: true }, FINE)
    expect(seen.of(Line.CTS)).toEqual(['0: 5 [1 5]'])
    expect(seen.of(Line.RI)).toEqual(['0: 2 [0 2]'])
    expect([device.get(Uart.MODEM_STATUS), device.get(Uart.MODEM_COUNTED)]).toEqual([1, 5])
  })

  test('counts errors of the receiver, and interrupts for them', () => {
    const { device, seen } = port()
    device.modem(NONE, LOW, FINE)
    device.modem(NONE, LOW, { frame: 2, parity: 1, overrun: 0, break: 3 })
    expect(seen.of(Line.DATA)).toEqual(['0: 6 [0 2 1 0 3]'])
  })

  test('counts from 0 again in a new session', () => {
    const { device, seen } = port()
    device.credit(0, Uart.DATA, 10)
    device.receive(ascii('abc'))
    device.connect(seen)
    expect([device.get(Uart.RECEIVED), device.creditOf(Uart.DATA)]).toEqual([0, 0])
    device.receive(ascii('d'))
    device.credit(0, Uart.DATA, 10)
    device.enableLine(Line.DATA)
    expect(seen.of(Line.DATA).at(-1)).toBe('0: 1 [1 0 0 0 0]')
  })

  test('reads registers that it does not have as all ones, and says what was written to them', () => {
    const { device, seen } = port()
    const values: number[] = []
    device.read(0, 0x7fc, (value) => values.push(value))
    device.read(1, Uart.BAUD, (value) => values.push(value))
    device.write(0, 0x7fc, 1)
    expect(values).toEqual([0xffffffff, 0xffffffff])
    expect(seen.logs.length).toBe(1)
  })
})
