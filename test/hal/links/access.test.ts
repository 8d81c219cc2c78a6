import { execFile, fork, spawn } from 'node:child_process'
import {
  chmodSync,
  closeSync,
  lstatSync,
  mkdtempSync,
  openSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Worker } from 'node:worker_threads'
import { afterAll, describe, expect, test } from 'vitest'
import { busyError, forbiddenError, holdersOf, openError } from '../../../hal/links/access.ts'
import { devicePath } from '../../../hal/links/devicepath.ts'
import { LinkError } from '../../../hal/links/link.ts'
import { nativeError } from '../../../hal/links/native.ts'
import { openPty } from '../../../hal/links/pty.ts'
import { openSerial } from '../../../hal/links/serial.ts'
import { until } from './contract.ts'
import { LinkEnd } from './ends.ts'

const folder = mkdtempSync(join(tmpdir(), 'dirql-links-'))
afterAll(() => rmSync(folder, { recursive: true }))
const quiet = { data: () => {}, closed: () => {} }
const isLinux = process.platform === 'linux'

const failure = async (opening: Promise<unknown>): Promise<LinkError> => {
  const error = await opening.then(
    () => null,
    (cause: unknown) => cause,
  )
  expect(error).toBeInstanceOf(LinkError)
  return error as LinkError
}

describe.skipIf(!isLinux)('who is in the way', () => {
  test('a program that has the device open is named, with its process', async () => {
    const path = join(folder, 'ttyUSB0')
    writeFileSync(path, '')
    const child = spawn('sleep', ['60'], { stdio: [openSync(path, 'r'), 'ignore', 'ignore'] })
    try {
      await until('it holds the file', () => holdersOf(path).some(({ program }) => program === 'sleep'))
      const holders = holdersOf(path).filter(({ pid }) => pid === child.pid)
      expect(holders).toEqual([{ pid: child.pid, program: 'sleep' }])
      expect(busyError(path, holders).message).toBe(
        `${path} is in use by sleep (process ${child.pid}): end that program`,
      )
    } finally {
      child.kill()
    }
  })

  test('a link to the device is followed', () => {
    const device = join(folder, 'ttyACM0')
    const link = join(folder, 'by-id')
    writeFileSync(device, '')
    symlinkSync('ttyACM0', link)
    expect(devicePath(link)).toBe(device)
    const file = openSync(device, 'r')
    expect(holdersOf(link).map(({ pid }) => pid)).toContain(process.pid)
    closeSync(file)
  })

  test('a program that is known to take ports comes with what helps against it', () => {
    expect(busyError('/dev/ttyACM0', [{ pid: 7, program: 'ModemManager' }]).message).toMatch(/stop ModemManager/)
  })

  test('a port that this program has open is refused, and says so', async () => {
    const board = await openPty(quiet)
    const link = await openSerial({ path: board.path }, quiet)
    const error = await failure(openSerial({ path: board.path }, quiet))
    expect(error.code).toBe('busy')
    expect(error.message).toMatch(/open in this program already/)
    await link.close()
    await board.close()
  })

  test('a device of root alone comes with the rule that opens it', () => {
    const path = join(folder, 'hidraw3')
    writeFileSync(path, '')
    chmodSync(path, 0o600)
    const { code, message } = forbiddenError(path)
    expect(code).toBe('forbidden')
    expect(message).toMatch(/mode 0600 and group .*SUBSYSTEM=="hidraw", KERNEL=="hidraw\*", TAG\+="uaccess"/)
  })

  test.each([
    ['Error: No such file or directory, cannot open /dev/ttyUSB7', 'missing'],
    ['Error: Error Resource temporarily unavailable Cannot lock port', 'busy'],
    ['Error: Permission denied, cannot open /dev/null', 'forbidden'],
    ['Error: Inappropriate ioctl for device', 'unsupported'],
    ['Error: something else', 'failed'],
  ])('the words of the package tell what it is: %s', (text, code) => {
    expect(openError('/dev/null', new Error(text), []).code).toBe(code)
  })

  test('a port that is not there, and a file that is no port', async () => {
    expect((await failure(openSerial({ path: '/dev/ttyUSB99' }, quiet))).code).toBe('missing')
    expect((await failure(openSerial({ path: '/dev/null' }, quiet))).code).toBe('unsupported')
  })
})

describe.skipIf(!isLinux)('a board at a terminal', () => {
  test('its link leads there while it is open', async () => {
    const link = join(folder, 'uno')
    const first = await openPty(quiet, { link })
    const second = await openPty(quiet, { link })
    const path = readlinkSync(link)
    await first.close()
    expect(readlinkSync(link)).toBe(path)
    await second.close()
    expect(lstatSync(link, { throwIfNoEntry: false })).toBeUndefined()
  })

  test('a file is not overwritten by its link', async () => {
    const link = join(folder, 'precious')
    writeFileSync(link, 'x')
    expect((await failure(openPty(quiet, { link }))).message).toMatch(/no symbolic link/)
  })

  test('programs come and go', async () => {
    const far = new LinkEnd()
    const board = await openPty(far.events)
    for (const text of ['first', 'second']) {
      const program = new LinkEnd()
      program.link = await openSerial({ path: board.path }, program.events)
      board.write(Buffer.from(`to the ${text}`))
      program.send(Buffer.from(`${text} `))
      await until('the answer', () => Buffer.from(program.received()).toString() === `to the ${text}`)
      await program.link.close()
    }
    await until('both', () => Buffer.from(far.received()).toString() === 'first second ')
    await board.close()
  })

  test('a program that sets nothing sends and gets bytes as they are', async () => {
    const far = new LinkEnd()
    const board = await openPty(far.events)
    board.write(Buffer.from('line\r\n\x04\x03'))
    const { stdout } = await promisify(execFile)('sh', [
      '-c',
      `printf 'a\\nb\\r' >${board.path}; head -c 8 <${board.path}`,
    ])
    expect(stdout).toBe('line\r\n\x04\x03')
    await until('its bytes', () => Buffer.from(far.received()).toString() === 'a\nb\r')
    await board.close()
  })
})

describe('the native packages', () => {
  test('a missing library is named, with the package that has it', () => {
    const cause = new Error('libusb-1.0.so.0: cannot open shared object file: No such file or directory')
    const { code, message } = nativeError('node-hid', cause)
    expect(code).toBe('package')
    expect(message).toMatch(/HID devices need the package 'node-hid'.*apt-get install libusb-1.0-0/)
  })

  test('without them everything loads; only what needs one fails, and says which', async () => {
    const child = fork(new URL('./without-native.ts', import.meta.url), { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] })
    let errors = ''
    child.stderr?.on('data', (text) => (errors += text))
    const told = await new Promise((resolve) => {
      child.once('message', resolve)
      child.once('exit', (code) => resolve(`it ended with ${code}: ${errors}`))
    })
    expect(told).toEqual({
      serial: "package serial ports need the package 'serialport', which is not installed: npm install serialport",
      hid: "package HID devices need the package 'node-hid', which is not installed: npm install node-hid",
      pty: "package simulated boards at a path need the package '@lydell/node-pty', which is not installed: npm install @lydell/node-pty",
      problems: 2,
    })
  })

  test('a device is not opened in a worker thread, where its package would end the process', async () => {
    const serial = new URL('../../../hal/links/serial.ts', import.meta.url).href
    const script = `const { openSerial } = await import('${serial}');
      openSerial({ path: '/dev/null' }, {}).catch((error) => require('node:worker_threads').parentPort.postMessage(error.message))`
    const worker = new Worker(`(async () => { ${script} })()`, { eval: true })
    expect(await new Promise((resolve) => worker.once('message', resolve))).toMatch(/main thread/)
    await worker.terminate()
  })

  test.skipIf(!isLinux)('without udevadm the list says what is missing', async () => {
    const discovery = new URL('../../../hal/links/discovery.ts', import.meta.url)
    const script = `const { discover } = await import('${discovery.href}'); console.log((await discover()).problems.join())`
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], {
      env: { PATH: folder },
    })
    expect(stdout).toMatch(/without the program udevadm: sudo apt-get install udev/)
  })
})
