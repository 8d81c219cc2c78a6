/** Interrupts that go in a circle: each answer of the host makes its line interrupt again. */
import type { DeviceModel } from '../../firmware-sim/device.ts'
import { ModelBoard, type ModelTime } from '../../firmware-sim/model.ts'
import { layoutsOf } from '../../machine/boardplan.ts'
import { readBoardFile } from '../../machine/boardfile.ts'
import { ageOf, chainBoard, isAnswerTo, LINE } from '../drivers/chainboard.ts'

export interface Circled {
  /** Nanoseconds an interrupt. */
  ns: number
  /** From the write of an answer to its effect, in nanoseconds. */
  latencies: number[]
}

/** The board, as a model, with so many devices. */
export function circleBoard(devices: number, time: ModelTime): ModelBoard {
  const board = new ModelBoard(layoutsOf(readBoardFile(chainBoard(devices))), time)
  board.keepsWrites = false
  return board
}

/** Lets the lines of the first `count` devices interrupt until `rounds` were answered: each once, and in order. */
export function circle({ devices }: ModelBoard, count: number, rounds: number): Promise<Circled> {
  return new Promise((resolve, reject) => {
    const latencies: number[] = []
    let begun = 0
    const begin = process.hrtime.bigint()
    const interrupt = (device: DeviceModel): void => {
      begun += 1
      device.add('COUNT', 1)
      device.line(LINE).pulse()
    }
    const answered = (device: DeviceModel, answer: number): void => {
      if (!isAnswerTo(answer, device.get('COUNT'))) reject(new Error('an interrupt was lost or answered twice'))
      latencies.push(ageOf(answer))
      if (begun < rounds) interrupt(device)
      if (latencies.length === rounds) resolve({ ns: Number(process.hrtime.bigint() - begin) / rounds, latencies })
    }
    for (const device of devices.slice(0, Math.min(count, rounds))) {
      device.onWrite = (_register, answer) => answered(device, answer)
      interrupt(device)
    }
  })
}
