/** The command that makes a USB device of an emulated board, as a user runs it. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { openSerial } from '../../hal/links/serial.ts'
import { until } from '../hal/links/contract.ts'

export const simCases: Record<string, () => Promise<void>> = {
  'dirql sim --usb is a port that the firmware speaks at, reset by DTR, until Ctrl-C': async () => {
    const sim = spawn(process.execPath, ['cli/dirql.js', 'sim', 'arduino-uno', '--usb'], {
      env: { ...process.env, NODE_OPTIONS: '' }, // its processor is emulated once more, and has to be compiled
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let said = ''
    sim.stdout.on('data', (text: Buffer) => (said += text.toString()))
    sim.stderr.on('data', (text: Buffer) => (said += text.toString()))
    const ended = new Promise((resolve) => sim.once('close', resolve))
    try {
      await until('its path', () => /hands:/.test(said) || sim.exitCode !== null)
      const path = /at (\/dev\/ttyACM\d+)/.exec(said)?.[1]
      assert.ok(path !== undefined, said)
      let heard = ''
      const link = await openSerial(
        { path },
        { data: (bytes) => (heard += Buffer.from(bytes).toString('latin1')), closed: () => {} },
      )
      await until('a line of the firmware', () => heard.includes('\n'))
      await link.close()
      sim.kill('SIGINT')
      assert.equal(await ended, 0, said)
      assert.match(said, /transactions on the bus/)
      await until('the node is gone', () => !existsSync(path))
    } finally {
      sim.kill('SIGKILL')
    }
  },
}
