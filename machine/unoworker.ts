/** The thread of an emulated Uno that keeps pace with real time. */
import { receiveMessageOnPort, parentPort, type MessagePort, workerData } from 'node:worker_threads'
import { PacedUno, type UnoCommand } from '../firmware-sim/avr/paced.ts'
import { Uno } from '../firmware-sim/avr/uno.ts'
import { monotonicBase, monotonicTicks } from '../hal/clock.ts'
import type { UnoWorkerData } from './uno.ts'

const { options, bell, speed } = workerData as UnoWorkerData
const port = parentPort as MessagePort
const base = monotonicBase()
/** The bell's count when the inbox was looked into last: a ring since then ends the wait at once. */
let rung = 0

const pace = {
  now: (): number => monotonicTicks(base) / 10,
  wait: (us: number): void => void Atomics.wait(bell, 0, rung, us / 1000),
  take(): UnoCommand | undefined {
    rung = Atomics.load(bell, 0)
    return receiveMessageOnPort(port)?.message as UnoCommand | undefined
  },
  tell: (event: unknown): void => port.postMessage(event),
  speed,
}

new PacedUno(new Uno(options), pace).run()
port.close()
