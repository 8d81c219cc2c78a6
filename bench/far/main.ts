/** A board in a process of its own, at the far end of a pseudo terminal. Its first message is the terminal's path. */
import type { Link } from '../../hal/links/link.ts'
import { openPty } from '../../hal/links/pty.ts'
import { realWorld } from '../../hal/realworld.ts'
import { BridgeDevice } from '../../wire/bridge/device.ts'
import { type BoardKind, type CircleRequest, LINES } from '../far.ts'
import { circle, circleBoard } from './circle.ts'
import { serveJson } from './json.ts'
import { textBoard } from './messages.ts'

const kind = process.argv[2] as BoardKind
const { world } = realWorld()
const board = circleBoard(LINES, world)

let take: (bytes: Uint8Array) => void = () => {}
const link: Link = await openPty({ data: (bytes) => take(bytes), closed: () => process.exit() })
const send = (text: string): void => link.write(Buffer.from(text, 'latin1'))

const TAKERS: Record<BoardKind, () => (bytes: Uint8Array) => void> = {
  text() {
    const takeText = textBoard(send)
    return (bytes) => takeText(Buffer.from(bytes).toString('latin1'))
  },
  json: () => serveJson(board, send),
  bridge() {
    const devices = board.devices.map(({ layout }) => ({
      class: layout.class,
      version: layout.version,
      lines: layout.lines.length,
    }))
    const device = new BridgeDevice({
      time: world,
      write: (bytes) => link.write(bytes),
      isBusy: () => link.unsent > 0,
      board,
      identity: { firmware: 'bench', version: '1', uniqueId: '-', devices },
      bootCount: 1,
    })
    device.start()
    return (bytes) => device.receive(bytes)
  },
}
take = TAKERS[kind]()

process.on('message', ({ lines, rounds }: CircleRequest) => {
  circle(board, lines, rounds).then(
    (circled) => process.send?.(circled),
    (error: unknown) => process.send?.(error),
  )
})
process.on('disconnect', () => process.exit())
process.send?.(link.path)
