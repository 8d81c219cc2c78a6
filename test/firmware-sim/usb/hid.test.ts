import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { GAMEPAD, gamepadReport, HidUsbDevice, RAW_HID } from '../../../firmware-sim/usb/hid.ts'
import { parseReportDescriptor, reportBytes } from '../../../wire/reportdescriptor.ts'
import { hexOf, TestBus } from './bus.ts'

const board = (name: string) =>
  JSON.parse(readFileSync(new URL(`../../../boards/${name}/board.json`, import.meta.url), 'utf8')) as {
    recognise: { vid: string; pid: string }[]
    link: { usagePage: number; usage?: number; reportBytes: number }
    devices: { fields: Record<string, { byte: number; bit?: number }> }[]
  }

test('raw HID describes reports of 64 bytes both ways', () => {
  const bus = new TestBus(new HidUsbDevice(RAW_HID))
  expect(bus.control('80 06 0002 0000 ff00')).toBe(
    '09022900010100803209040000 0203000000 0921110100012222 00 07058103400001 07050203400001'
      .replaceAll(' ', '')
      .replace('012222', '0122' + RAW_HID.reportDescriptor.length.toString(16)),
  )
  const descriptor = parseReportDescriptor(Buffer.from(bus.control('81 06 0022 0000 ff00'), 'hex'))
  expect((['input', 'output', 'feature'] as const).map((kind) => reportBytes(descriptor, kind, 0))).toEqual([64, 64, 8])
})

test('raw HID is what the board file of hid-bridge recognises', () => {
  const { recognise, link } = board('hid-bridge')
  const { identity, reportDescriptor } = RAW_HID
  expect([identity.vendorId, identity.productId]).toEqual(
    [recognise[0]?.vid, recognise[0]?.pid].map((hex) => Number.parseInt(hex ?? '', 16)),
  )
  const page = [link.usagePage & 0xff, link.usagePage >> 8]
  const usage = [(link.usage ?? 0) & 0xff, (link.usage ?? 0) >> 8]
  expect(reportDescriptor.slice(0, 6)).toEqual([0x06, ...page, 0x0a, ...usage])
})

test('a gamepad is what the board file of hid-gamepad recognises, and its buttons are where that looks', () => {
  const { recognise, link, devices } = board('hid-gamepad')
  expect(Number.parseInt(recognise[0]?.pid ?? '', 16)).toBe(GAMEPAD.identity.productId)
  const descriptor = parseReportDescriptor(Uint8Array.from(GAMEPAD.reportDescriptor))
  expect(reportBytes(descriptor, 'input', 0)).toBe(link.reportBytes)
  const fields = devices[0]?.fields ?? {}
  const bit = (name: string, report: Uint8Array): number =>
    ((report[fields[name]?.byte ?? 0] as number) >> (fields[name]?.bit ?? 0)) & 1
  const pressed = gamepadReport(1, 2, (1 << 0) | (1 << 9))
  expect([bit('button-x', pressed), bit('button-a', pressed), bit('start', pressed)]).toEqual([1, 0, 1])
  expect([pressed[fields['x']?.byte ?? 0], pressed[fields['y']?.byte ?? 0]]).toEqual([1, 2])
})

test('a report is one transfer each way', () => {
  const device = new HidUsbDevice(RAW_HID)
  const bus = new TestBus(device)
  const outputs: string[] = []
  device.onOutput = (data) => outputs.push(hexOf(data))
  device.send(new Uint8Array(64).fill(1))
  device.send(new Uint8Array(64).fill(2))
  bus.read(1, 64)
  bus.read(1, 64)
  bus.write(2, '03'.repeat(64))
  expect(bus.answers().map(({ data }) => data.slice(0, 2))).toEqual(['01', '02', ''])
  expect(outputs).toEqual(['03'.repeat(64)])
})

test('feature reports are kept by id', () => {
  const device = new HidUsbDevice(RAW_HID)
  const bus = new TestBus(device)
  const told: [number, string][] = []
  device.onFeature = (id, bytes) => told.push([id, hexOf(bytes)])
  expect(bus.control('21 09 0003 0000 0800', '0102030405060708')).toBe('')
  expect(bus.control('a1 01 0003 0000 0800')).toBe('0102030405060708')
  expect(told).toEqual([[0, '0102030405060708']])
})

test('an output report may come over endpoint 0 too', () => {
  const device = new HidUsbDevice(RAW_HID)
  const outputs: string[] = []
  device.onOutput = (data) => outputs.push(hexOf(data))
  new TestBus(device).control('21 09 0002 0000 0200', 'abcd')
  expect(outputs).toEqual(['abcd'])
})
