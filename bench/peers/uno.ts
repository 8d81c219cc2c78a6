/** The same program on avr8js as its own demonstration runs it. Each gives back milliseconds an emulated second. */
import { readFileSync } from 'node:fs'
import {
  AVRIOPort,
  AVRTimer,
  AVRUSART,
  avrInstruction,
  CPU,
  portBConfig,
  portCConfig,
  portDConfig,
  timer0Config,
  timer1Config,
  timer2Config,
  usart0Config,
} from 'avr8js'
import { FLASH_SIZE } from '../../firmware-sim/avr/core.ts'
import { readHex } from '../../firmware-sim/avr/hex.ts'
import { expectEqual } from '../benchmark.ts'

const HZ = 16_000_000

/** What `body` takes of this thread's processor: it is not alone on it while it runs for seconds. */
export function processorMs(body: () => void): number {
  const before = process.threadCpuUsage()
  body()
  const { user, system } = process.threadCpuUsage(before)
  return (user + system) / 1000
}

export function avr8js({ image, seconds }: { image: string; seconds: number }): number {
  const program = new Uint16Array(FLASH_SIZE / 2)
  new Uint8Array(program.buffer).set(readHex(readFileSync(image, 'latin1'), FLASH_SIZE))
  const cpu = new CPU(program, 2048)
  for (const config of [portBConfig, portCConfig, portDConfig]) new AVRIOPort(cpu, config)
  for (const config of [timer0Config, timer1Config, timer2Config]) new AVRTimer(cpu, config)
  const usart = new AVRUSART(cpu, usart0Config, HZ)
  let wrong = 0
  usart.onByteTransmit = (byte) => {
    if (byte !== 'p'.charCodeAt(0)) wrong += 1
  }
  const ms = processorMs(() => {
    const end = seconds * HZ
    while (cpu.cycles < end) {
      avrInstruction(cpu)
      cpu.tick()
    }
  })
  expectEqual(wrong, 0, 'the count of wrong results')
  return ms / seconds
}
