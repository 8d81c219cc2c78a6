/** avr8js as its own demonstration has it: the parts that a sketch uses, and nothing on its pins. */
import { readFileSync } from 'node:fs'
import {
  adcConfig,
  AVRADC,
  AVREEPROM,
  AVRIOPort,
  avrInstruction,
  AVRTimer,
  AVRTWI,
  AVRUSART,
  AVRWatchdog,
  AVRClock,
  clockConfig,
  CPU,
  EEPROMMemoryBackend,
  portBConfig,
  portCConfig,
  portDConfig,
  timer0Config,
  timer1Config,
  timer2Config,
  twiConfig,
  usart0Config,
  watchdogConfig,
} from 'avr8js'
import { FLASH_SIZE } from '../../firmware-sim/avr/core.ts'
import { readHex } from '../../firmware-sim/avr/hex.ts'
import { expectEqual } from '../benchmark.ts'

export const HZ = 16_000_000
const EEPROM_SIZE = 1024

/** Emulated seconds for a second of this thread's processor: it is not alone on it while it runs for seconds. */
export async function speedOf(seconds: number, body: () => void | Promise<void>): Promise<number> {
  const before = process.threadCpuUsage()
  await body()
  const { user, system } = process.threadCpuUsage(before)
  return seconds / ((user + system) / 1e6)
}

interface Run {
  image: string
  seconds: number
}

/** Runs an image; gives back its speed, and what it has sent. */
async function run({ image, seconds }: Run): Promise<{ speed: number; text: string }> {
  const program = new Uint16Array(FLASH_SIZE / 2)
  new Uint8Array(program.buffer).set(readHex(readFileSync(image, 'latin1'), FLASH_SIZE))
  const cpu = new CPU(program, 2048)
  for (const config of [portBConfig, portCConfig, portDConfig]) new AVRIOPort(cpu, config)
  for (const config of [timer0Config, timer1Config, timer2Config]) new AVRTimer(cpu, config)
  new AVRTWI(cpu, twiConfig, HZ)
  new AVRADC(cpu, adcConfig)
  new AVREEPROM(cpu, new EEPROMMemoryBackend(EEPROM_SIZE))
  new AVRWatchdog(cpu, watchdogConfig, new AVRClock(cpu, HZ, clockConfig))
  const usart = new AVRUSART(cpu, usart0Config, HZ)
  let text = ''
  usart.onByteTransmit = (byte) => (text += String.fromCharCode(byte))
  const speed = await speedOf(seconds, () => {
    const end = seconds * HZ
    while (cpu.cycles < end) {
      avrInstruction(cpu)
      cpu.tick()
    }
  })
  return { speed, text }
}

/** The Uno's firmware, to which nobody speaks. It begins to say that it is there; avr8js' port stops at the second byte. */
export async function firmware(wanted: Run): Promise<number> {
  const { speed, text } = await run(wanted)
  expectEqual(text.slice(0, 1), '\n', 'the first byte that the firmware sends')
  return speed
}

/** A program that sends `p` each time it is through. */
export async function busy(wanted: Run): Promise<number> {
  const { speed, text } = await run(wanted)
  expectEqual(text.replaceAll('p', ''), '', 'the text of wrong results')
  return speed
}
