/** The driver test that every board passes (cli/bench/conformance.ts), on boards behind USB. */
import assert from 'node:assert/strict'
import { type ChildProcess, fork } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { BenchHands, Cable } from '../../cli/bench/bench.ts'
import { conform } from '../../cli/bench/conformance.ts'
import type { ModelChip } from '../../firmware-sim/uno-model.ts'
import { siblingFile } from '../../hal/siblingfile.ts'
import { readBoardFile } from '../../machine/boardfile.ts'
import { layoutsOf } from '../../machine/boardplan.ts'
import { until } from '../hal/links/contract.ts'
import type { BoardKind, BoardOrder, BoardReply } from './board.ts'

const UNO_CHIPS: readonly ModelChip[] = [
  { device: 'i2c0', name: 'tmp102', address: 0x48, hardwareIds: ['dirql\\tmp102'], lines: ['gpio.alert'] },
  { device: 'i2c0', name: 'at24', address: 0x50, hardwareIds: ['dirql\\at24'], lines: [] },
]

/** The board, in its process. */
class BoardProcess {
  readonly #child: ChildProcess
  readonly #waiting = new Map<number, { resolve: (path: string) => void; reject: (error: Error) => void }>()
  #nextId = 1

  constructor(kind: BoardKind) {
    const file = fileURLToPath(siblingFile('board', import.meta.url))
    this.#child = fork(file, { execArgv: [], serialization: 'advanced' })
    this.#child.on('message', ({ id, error, path }: BoardReply) => {
      const asked = this.#waiting.get(id)
      this.#waiting.delete(id)
      if (error === null) asked?.resolve(path)
      else asked?.reject(new Error(error))
    })
    this.tell({ do: 'become', kind })
  }

  ask(order: BoardOrder): Promise<string> {
    const id = this.#nextId++
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject })
      this.#child.send({ ...order, id })
    })
  }

  tell(order: BoardOrder): void {
    void this.ask(order)
  }

  async close(): Promise<void> {
    const ended = new Promise((resolve) => this.#child.once('exit', resolve))
    this.#child.disconnect()
    await ended
  }
}

async function conformOn(board: string, usb: BoardKind['usb'], chips: readonly ModelChip[]): Promise<void> {
  const usbBoard = new BoardProcess({ usb, chips, layouts: layoutsOf(readBoardFile(board)) })
  const hands: BenchHands = {
    press: (pin) => usbBoard.tell({ do: 'press', pin }),
    release: (pin) => usbBoard.tell({ do: 'release', pin }),
    set: (sensor, value) => usbBoard.tell({ do: 'set', sensor, value }),
    reset: async () => void (await usbBoard.ask({ do: 'reset' })),
  }
  try {
    const at = await usbBoard.ask({ do: 'insert' })
    const cable: Cable = {
      pull: async () => {
        await usbBoard.ask({ do: 'pull' })
        await until(`${at} is gone`, () => !existsSync(at))
      },
      insert: async () => assert.equal(await usbBoard.ask({ do: 'insert' }), at),
    }
    const { outcomes, hasBugCheck } = await conform({ board: { board, at }, hands, cable })
    const failed = outcomes.filter(({ ok }) => ok === false).map(({ scenario, detail }) => `${scenario}: ${detail}`)
    assert.deepEqual(failed, [])
    assert.equal(hasBugCheck, false)
  } finally {
    await usbBoard.close()
  }
}

export const boardCases: Record<string, () => Promise<void>> = {
  'the drivers tmp102, at24 and gpio pass the same test on CDC-ACM': () => conformOn('arduino-uno', 'acm', UNO_CHIPS),
  'the driver gpio passes the same test on raw HID': () => conformOn('hid-bridge', 'raw-hid', []),
}
