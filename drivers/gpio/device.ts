/** What the gpio driver keeps of a device, and its hardware. */
import { GPIO_PINS, gpioEdges } from 'dirql/gpio'
import {
  array,
  DEVICE_OBJECT,
  IoDisconnectInterrupt,
  KDPC,
  KeAcquireInterruptSpinLock,
  KeCancelTimer,
  KeFlushQueuedDpcs,
  KeReleaseInterruptSpinLock,
  KeRemoveQueueDpc,
  KINTERRUPT,
  type KSERVICE_ROUTINE,
  KSPIN_LOCK,
  KTIMER,
  MmMapIoSpace,
  MmNonCached,
  MmUnmapIoSpace,
  NT_SUCCESS,
  type NTSTATUS,
  out,
  pointer,
  READ_REGISTER_ULONG,
  STATUS_DEVICE_NOT_CONNECTED,
  STATUS_INSUFFICIENT_RESOURCES,
  STATUS_SUCCESS,
  STATUS_UNSUCCESSFUL,
  struct,
  ULONG,
} from 'dirql/wdm'
import { connectInterrupt, type InterruptResource, type Resources } from '../lib/pnp.ts'
import { drain, locked, REQUEST_QUEUE } from '../lib/requests.ts'
import { EDGE } from './interface.ts'

const WINDOW_BYTES = 0x800
export const MOST_EDGES = 256
/** The line of all pins, and those of pins that are lines of their own. */
const MOST_LINES = 9

export const GPIO_PIN = struct('GPIO_PIN', {
  // Guarded by the interrupt spin lock.
  Told: ULONG, // the count that was told last
  Time: ULONG, // board time of the newest edge

  DebounceUs: ULONG, // guarded by Lock

  // Set by AddDevice.
  Timer: KTIMER,
  Dpc: KDPC,
  Owner: ULONG, // address of the GPIO
  Number: ULONG,
})
export type GPIO_PIN = InstanceType<typeof GPIO_PIN>

export const GPIO = struct('GPIO', {
  // Guarded by the interrupt spin lock, one for all lines of the device.
  InterruptLock: KSPIN_LOCK,
  Edges: array(EDGE, MOST_EDGES), // a ring
  Put: ULONG, // records ever put; wraps
  Taken: ULONG,
  Lost: ULONG,
  Total: ULONG, // edges of all pins
  Bouncing: ULONG, // pins whose debounce time must be started anew
  Pins: array(GPIO_PIN, GPIO_PINS),

  // Guarded by Lock, which is acquired before the interrupt spin lock.
  Lock: KSPIN_LOCK,
  IsThere: ULONG, // not 0: between start and stop. Registers and interrupts may be used
  Reads: REQUEST_QUEUE,

  // Set before the interrupts are connected, or by PnP.
  Registers: ULONG, // address of the register window
  Interrupts: array(pointer(KINTERRUPT), MOST_LINES), // the first is that of all pins
  LinePins: ULONG, // mask of the pins whose lines are this device's own; those of its chips are theirs
  LowPins: ULONG, // those of them whose edges lead to 0
  HighPins: ULONG, // to 1
  Lower: pointer<DEVICE_OBJECT>(() => DEVICE_OBJECT),
  Physical: pointer<DEVICE_OBJECT>(() => DEVICE_OBJECT),
  Number: ULONG,
  Dpc: KDPC,
})
export type GPIO = InstanceType<typeof GPIO>

export const gpioOf = (device: DEVICE_OBJECT): GPIO => device.DeviceExtension as GPIO

/** Runs `body` with the device's lock held. @irql <= DISPATCH_LEVEL */
export const withLock = <R>(gpio: GPIO, body: () => R): R => locked(gpio.Lock, body)

export const interruptOf = (gpio: GPIO): KINTERRUPT => gpio.Interrupts.at(0) as KINTERRUPT

/** Runs `body` with the interrupt spin lock held. The device is there, and its lock is held. @irql DISPATCH_LEVEL */
export function withInterrupts<R>(gpio: GPIO, body: () => R): R {
  const interrupt = interruptOf(gpio)
  const irql = KeAcquireInterruptSpinLock(interrupt)
  const result = body()
  KeReleaseInterruptSpinLock(interrupt, irql)
  return result
}

/** The driver's exports. */
export interface GpioRoutines {
  pins: KSERVICE_ROUTINE
  line: KSERVICE_ROUTINE
}

/** @irql PASSIVE_LEVEL */
export async function startGpio(gpio: GPIO, resources: Resources, routines: GpioRoutines): Promise<NTSTATUS> {
  const [window] = resources.windows
  if (window === undefined || resources.interrupts.length === 0) return STATUS_UNSUCCESSFUL
  gpio.Registers = MmMapIoSpace(window, WINDOW_BYTES, MmNonCached)
  if (gpio.Registers === 0) return STATUS_INSUFFICIENT_RESOURCES
  for (let index = 0; index < GPIO_PINS; index++) {
    gpio.Pins.at(index).Told = READ_REGISTER_ULONG(gpio.Registers + gpioEdges(index)) // to another, before
  }
  const status = connectAll(gpio, resources.interrupts, routines)
  if (!NT_SUCCESS(status)) {
    await letGo(gpio)
    return status
  }
  withLock(gpio, () => {
    gpio.IsThere = 1
    gpio.Reads.IsOpen = 1
  })
  return STATUS_SUCCESS
}

function connectAll(gpio: GPIO, interrupts: readonly InterruptResource[], { pins, line }: GpioRoutines): NTSTATUS {
  const shared = { lock: gpio.InterruptLock, synchronizeIrql: Math.max(...interrupts.map(({ level }) => level)) }
  const own = interrupts.filter(({ isLatched }, index) => index === 0 || isLatched).slice(0, MOST_LINES)
  for (const [index, resource] of own.entries()) {
    const box = out<KINTERRUPT | null>()
    const isr = index === 0 ? pins : line
    const status = connectInterrupt(resource, isr, gpio, box, shared)
    if (!NT_SUCCESS(status)) return status
    gpio.Interrupts.set(index, box.value)
  }
  return STATUS_SUCCESS
}

/** Ends the reads that wait, and lets go of the hardware. Harmless when done before. @irql PASSIVE_LEVEL */
export async function stopGpio(gpio: GPIO): Promise<void> {
  const wasThere = withLock(gpio, () => {
    const { IsThere } = gpio
    gpio.IsThere = 0
    gpio.Reads.IsOpen = 0
    return IsThere !== 0
  })
  if (!wasThere) return
  await letGo(gpio)
  drain(gpio.Reads, STATUS_DEVICE_NOT_CONNECTED)
}

async function letGo(gpio: GPIO): Promise<void> {
  for (let index = 0; index < MOST_LINES; index++) {
    const interrupt = gpio.Interrupts.at(index)
    if (interrupt !== null) await IoDisconnectInterrupt(interrupt)
    gpio.Interrupts.set(index, null)
  }
  KeRemoveQueueDpc(gpio.Dpc)
  await KeFlushQueuedDpcs() // behind this, none sets a timer
  for (let index = 0; index < GPIO_PINS; index++) KeCancelTimer(gpio.Pins.at(index).Timer)
  await KeFlushQueuedDpcs() // a debounce DPC may have been queued before its timer was cancelled
  MmUnmapIoSpace(gpio.Registers, WINDOW_BYTES)
  gpio.Registers = 0
}
