/** A process in which no native package is installed: it imports all that has to do with them, and then needs them. */
import { registerHooks } from 'node:module'

const NATIVE = /^(?:serialport|node-hid|koffi|@serialport\/.*|@lydell\/node-pty)$/

registerHooks({
  resolve: (specifier, context, next) => {
    if (NATIVE.test(specifier)) throw new Error(`Cannot find package '${specifier}'`)
    return next(specifier, context)
  },
})

const { openSerial } = await import('../../../hal/links/serial.ts')
const { openHid } = await import('../../../hal/links/hid.ts')
const { openPty } = await import('../../../hal/links/pty.ts')
const { discover } = await import('../../../hal/links/discovery.ts')
await import('../../../machine/index.ts')

const quiet = { data: () => {}, closed: () => {} }
const failure = (opening: Promise<unknown>): Promise<string> =>
  opening.then(
    () => 'it opened',
    (error: { code: string; message: string }) => `${error.code} ${error.message}`,
  )

process.send?.({
  serial: await failure(openSerial({ path: '/dev/null' }, quiet)),
  hid: await failure(openHid({ path: '/dev/null' }, quiet)),
  pty: await failure(openPty(quiet)),
  problems: (await discover()).problems.length,
})
process.disconnect()
