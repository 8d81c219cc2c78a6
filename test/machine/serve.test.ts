import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { openPipe } from '../../hal/links/pipe.ts'
import { openPty } from '../../hal/links/pty.ts'
import { openSerial } from '../../hal/links/serial.ts'
import { Uno } from '../../firmware-sim/avr/uno.ts'
import { UnoOnVirtualClock } from '../../firmware-sim/avr/virtual.ts'
import { serveOnLink } from '../../machine/serve.ts'
import { UnoOnRealClock } from '../../machine/uno.ts'
import { BridgeHost, type Opened } from '../../wire/bridge/host.ts'
import { image } from '../firmware-sim/avr/bench.ts'
import { ManualTime } from '../firmware-sim/chips/time.ts'

const firmware = readFileSync(new URL('../../boards/arduino-uno/firmware/uno.hex', import.meta.url), 'latin1')
const events = { frame() {}, fifo() {}, reset() {}, gone() {}, log() {} }

test('an emulated Uno is reached through a pipe, on one virtual time', async () => {
  const time = new ManualTime()
  let receive = (_bytes: Uint8Array): void => {}
  const pipe = openPipe(
    { data: (bytes) => receive(bytes), closed() {} },
    { data: (bytes) => board.write(bytes), closed() {} },
    { time },
  )
  const board = new UnoOnVirtualClock(new Uno({ firmware }), time)
  board.onData = (bytes) => pipe.board.write(bytes)
  const host = new BridgeHost(
    { time, write: (bytes) => pipe.host.write(bytes), random: () => 1, baud: 115_200 },
    events,
  )
  receive = (bytes) => host.receive(bytes)
  let opened: Opened | null = null
  host.open((result) => {
    opened = result
  })
  time.pass(40_000_000)
  expect(opened).toMatchObject({ isOpen: true, identity: { firmware: 'dirql-uno' } })
  await pipe.host.close()
})

test.skipIf(process.platform === 'win32')(
  'an emulated Uno in real time sits at a path, and serialport talks to it',
  async () => {
    const board = new UnoOnRealClock({ firmware: image('parts') })
    const served = await serveOnLink(board, (linkEvents) => openPty(linkEvents))
    let text = ''
    let told: () => void = () => {}
    const answered = new Promise<void>((resolve) => {
      told = resolve
    })
    const serial = await openSerial(
      { path: served.link.path },
      {
        data(bytes) {
          text += Buffer.from(bytes).toString('latin1')
          if (text.includes('g1e950f\n')) told()
        },
        closed() {},
      },
    )
    serial.write(Buffer.from('g'))
    await answered
    expect(served.lost).toBe(0)
    await serial.close()
    await served.link.close()
    await board.powerOff()
  },
)

test('what nobody reads is dropped and counted, and so is nothing behind the close', async () => {
  const board = { write() {}, onData: (_bytes: Uint8Array) => {} }
  const time = new ManualTime()
  const served = await serveOnLink(board, (linkEvents) => {
    const pipe = openPipe({ data() {}, closed() {} }, linkEvents, { time })
    pipe.host.pause()
    return pipe.board
  })
  board.onData(new Uint8Array(64 * 1024))
  board.onData(new Uint8Array(10))
  expect(served.lost).toBe(10)
  await served.link.close()
  board.onData(new Uint8Array(10))
  expect(served.lost).toBe(10)
})
