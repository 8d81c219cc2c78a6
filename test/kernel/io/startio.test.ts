import { expect, test } from 'vitest'
import { IoCancelIrp, IoReleaseCancelSpinLock } from '../../../kernel/io/cancel.ts'
import { IoAllocateIrp, IoSetNextIrpStackLocation } from '../../../kernel/io/irp.ts'
import type { DEVICE_OBJECT, IRP } from '../../../kernel/io/layouts.ts'
import {
  IoSetStartIoAttributes,
  IoStartNextPacket,
  IoStartNextPacketByKey,
  IoStartPacket,
} from '../../../kernel/io/startio.ts'
import { KeGetCurrentIrql, KeLowerIrql, KeRaiseIrqlToDpcLevel } from '../../../kernel/ke/level.ts'
import { deviceOf, driverWith } from './system.ts'
import { bugCheckOf, onMachine } from '../ke/machine.ts'

type StartIo = (device: DEVICE_OBJECT, irp: IRP) => void

async function startIoDevice(startIo: StartIo): Promise<DEVICE_OBJECT> {
  const driver = await driverWith()
  driver.DriverStartIo = startIo
  return deviceOf(driver)
}

function newIrp(): IRP {
  const irp = IoAllocateIrp(1, false) as IRP
  IoSetNextIrpStackLocation(irp)
  return irp
}

function next(device: DEVICE_OBJECT, isCancelable = false): void {
  const before = KeRaiseIrqlToDpcLevel()
  IoStartNextPacket(device, isCancelable)
  KeLowerIrql(before)
}

/** Runs `body` with a device that notes the IRPs it starts, by index in `irps`. */
const recording = (
  body: (device: DEVICE_OBJECT, irps: IRP[], started: number[]) => unknown,
  count = 4,
): Promise<unknown> =>
  onMachine(async () => {
    const irps = Array.from({ length: count }, newIrp)
    const started: number[] = []
    const device = await startIoDevice((_, irp) => {
      started.push(irps.findIndex(({ address }) => address === irp.address))
    })
    return body(device, irps, started)
  })

// wdm-facts §14.7
test('IoStartPacket starts an IRP at once on an idle device, at DISPATCH_LEVEL, and queues the next', async () => {
  const seen = await onMachine(async () => {
    const levels: number[] = []
    const device = await startIoDevice((at) => levels.push(KeGetCurrentIrql(), at.CurrentIrp?.address ?? 0))
    const first = newIrp()
    IoStartPacket(device, first, null, null)
    IoStartPacket(device, newIrp(), null, null)
    return {
      started: levels.length / 2,
      level: levels[0],
      current: levels[1] === first.address,
      irql: KeGetCurrentIrql(),
    }
  })
  expect(seen).toEqual({ started: 1, level: 2, current: true, irql: 0 })
})

test('IoStartNextPacket starts the others in order and then leaves the device idle', async () => {
  const seen = await recording((device, irps, started) => {
    for (const irp of irps.slice(0, 3)) IoStartPacket(device, irp, null, null)
    next(device)
    next(device)
    next(device)
    const idle = device.CurrentIrp
    IoStartPacket(device, irps[3] as IRP, null, null)
    return { started, idle }
  })
  expect(seen).toEqual({ started: [0, 1, 2, 3], idle: null })
})

test('IoStartNextPacket below DISPATCH_LEVEL is bug check 0x8', async () => {
  const error = await bugCheckOf(async () => IoStartNextPacket(await startIoDevice(() => {}), false))
  expect(error.code).toBe(0x8)
})

test('IoStartNextPacketByKey starts the first IRP whose key is not lower', async () => {
  const seen = await recording((device, irps, started) => {
    IoStartPacket(device, irps[0] as IRP, 0, null)
    for (const [index, key] of [30, 10, 20].entries()) IoStartPacket(device, irps[index + 1] as IRP, key, null)
    IoStartNextPacketByKey(device, false, 15)
    IoStartNextPacketByKey(device, false, 99)
    return started
  })
  expect(seen).toEqual([0, 3, 2])
})

test('IoStartPacket with a cancel routine has it called, with the lock held, for a queued IRP that is cancelled already', async () => {
  const seen = await recording((device, irps, started) => {
    const cancelled: number[] = []
    const cancel = (_: DEVICE_OBJECT, irp: IRP): void => {
      cancelled.push(KeGetCurrentIrql())
      IoReleaseCancelSpinLock(irp.CancelIrql)
    }
    IoStartPacket(device, irps[0] as IRP, null, cancel)
    IoCancelIrp(irps[1] as IRP)
    IoStartPacket(device, irps[1] as IRP, null, cancel)
    return { started, cancelled, irql: KeGetCurrentIrql() }
  })
  expect(seen).toEqual({ started: [0], cancelled: [2], irql: 0 })
})

test('IoSetStartIoAttributes NonCancelable takes the cancel routine out before StartIo', async () => {
  const seen = await onMachine(async () => {
    const routines: unknown[] = []
    const device = await startIoDevice((_, irp) => routines.push(irp.CancelRoutine === null))
    const cancel = (_: DEVICE_OBJECT, irp: IRP): void => IoReleaseCancelSpinLock(irp.CancelIrql)
    const irps = [newIrp(), newIrp(), newIrp()]
    IoStartPacket(device, irps[0] as IRP, null, cancel)
    IoSetStartIoAttributes(device, false, true)
    IoStartPacket(device, irps[1] as IRP, null, cancel)
    next(device, true)
    return routines
  })
  expect(seen).toEqual([false, true])
})

test.each([
  [true, ['begin', 'end', 'begin', 'end']],
  [false, ['begin', 'begin', 'end', 'end']],
])('IoSetStartIoAttributes Deferred %s says whether IoStartNextPacket nests StartIo', async (deferred, expected) => {
  const order = await onMachine(async () => {
    const log: string[] = []
    const device = await startIoDevice((at) => {
      log.push('begin')
      IoStartNextPacket(at, false)
      log.push('end')
    })
    IoSetStartIoAttributes(device, deferred, false)
    const before = KeRaiseIrqlToDpcLevel()
    // The first one makes the device busy by hand, so that both are queued when StartIo begins.
    device.DeviceQueue.Busy = 1
    IoStartPacket(device, newIrp(), null, null)
    IoStartPacket(device, newIrp(), null, null)
    IoStartNextPacket(device, false)
    KeLowerIrql(before)
    return log
  })
  expect(order).toEqual(expected)
})
