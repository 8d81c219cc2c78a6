/** Boards whose real firmware runs in an emulated microcontroller, on the machine's clock. */
import { readFileSync } from 'node:fs'
import { type BridgedBoard, type Carrier, type CarrierEvents, openBridge } from '../hal/bridge.ts'
import { randomWord } from '../hal/nonce.ts'
import type { World } from '../hal/world.ts'
import { Uno, type UnoHands, type UnoMemory } from '../firmware-sim/avr/uno.ts'
import { UnoOnVirtualClock } from '../firmware-sim/avr/virtual.ts'
import type { Attachment, BusReport, Hands } from './attach.ts'
import type { BoardFile } from './boardfile.ts'
import { layoutsOf } from './boardplan.ts'
import { UsageError } from './errors.ts'
import { UnoOnRealClock, unoMemory } from './uno.ts'

/** Firmware images by board. */
const IMAGES: Record<string, string> = { 'arduino-uno': '../boards/arduino-uno/firmware/uno.hex' }

export const emulatedBoards: readonly string[] = Object.keys(IMAGES)

/** The firmware image of `board`, in Intel HEX. */
export function firmwareOf(board: string): string {
  const image = IMAGES[board]
  if (image !== undefined) return readFileSync(new URL(image, import.meta.url), 'latin1')
  throw new UsageError(
    `board '${board}' has no firmware that can be emulated; ${emulatedBoards.join(', ')} has. Use at: 'model'`,
  )
}

/** What is switched on at plug, and off at unplug. */
interface Powered extends UnoHands {
  onData: (bytes: Uint8Array) => void
  /** Told once if its thread fails. */
  onGone?: (error: Error) => void
  write(bytes: Uint8Array): void
  powerOff(): void | Promise<void>
  busReport(): Promise<BusReport>
}

const BAUD = 115_200
/** The board's thread has to start, perhaps on a machine that is busy. */
const HELLO_MS = 30_000

export function attachEmulated(file: BoardFile, name: string, world: World, isVirtual: boolean): Attachment {
  const firmware = firmwareOf(file.name)
  const memory = unoMemory()
  const layouts = layoutsOf(file)
  let uno: Powered | null = null
  const powerOn = (): Powered => (isVirtual ? onWorld(firmware, name, memory, world) : onThread(firmware, name, memory))
  const carry = (events: CarrierEvents): Carrier => {
    const powered = powerOn()
    powered.onData = (bytes) => events.data(bytes)
    powered.onGone = (error) => events.closed(`its emulator failed: ${error.message}`)
    uno = powered
    return {
      path: `${name} (emulated)`,
      write: (bytes) => powered.write(bytes),
      close: async () => {
        uno = null
        await powered.powerOff()
      },
    }
  }
  // Two virtual runs are the same, and nobody else talks to this board: any nonce will do.
  const random = isVirtual ? (): number => 1 : randomWord
  const open = (): Promise<BridgedBoard> =>
    openBridge({ layouts, time: world, random, baud: BAUD, helloForMs: HELLO_MS }, carry)
  const present = (): Powered => {
    if (uno !== null) return uno
    throw new UsageError(`board ${name} is not plugged in`)
  }
  const hands: Hands = {
    press: (pin) => present().press(pin),
    release: (pin) => present().release(pin),
    set: (sensor, value) => present().set(shortName(sensor), value),
    feed: () => {
      throw new UsageError('this board runs its own firmware: nothing else can send for it')
    },
    reset: () => present().reset(),
  }
  return {
    where: 'an emulated ATmega328P that runs the real firmware',
    serialNumber: null,
    open,
    hands,
    fault: null,
    model: null,
    uno: null,
    port: null,
    busReport: () => present().busReport(),
  }
}

/** As the model names it: `tmp102.temperature` is this board's only `temperature`. */
const shortName = (sensor: string): string => (sensor.endsWith('.temperature') ? 'temperature' : sensor)

function onWorld(firmware: string, name: string, memory: UnoMemory, world: World): Powered {
  const uno = new Uno({ firmware, name, memory, baud: BAUD })
  const board = new UnoOnVirtualClock(uno, world)
  return Object.assign(board, {
    busReport: () =>
      Promise.resolve({ transactions: uno.bus.log.length, mixedTransactions: uno.sequences.mixed } satisfies BusReport),
  })
}

function onThread(firmware: string, name: string, memory: UnoMemory): Powered {
  const board = new UnoOnRealClock({ firmware, name, memory, baud: BAUD })
  return Object.assign(board, { busReport: (): Promise<BusReport> => board.report() })
}
