/** The native packages, loaded when something first needs them: a machine without them can run all the rest. */
import { isMainThread } from 'node:worker_threads'
import { LinkError } from './link.ts'

/** What a package is for, and what else it needs: for who cannot load it. */
const PACKAGES = {
  serialport: 'serial ports',
  'node-hid': 'HID devices',
  '@lydell/node-pty': 'simulated boards at a path',
  koffi: 'counted modem lines',
} as const

/** Loads a package; `load` imports it. */
export async function native<T>(name: keyof typeof PACKAGES, load: () => Promise<T>): Promise<T> {
  try {
    return await load()
  } catch (cause) {
    throw nativeError(name, cause)
  }
}

/** Devices are opened on the program's first thread, where their packages can bear it. */
export function refuseWorker(why: string): void {
  if (isMainThread) return
  throw new LinkError('unsupported', `devices cannot be opened in a worker thread: ${why}. Open it on the main thread`)
}

/** Why a native package does not load, and what to do. */
export function nativeError(name: keyof typeof PACKAGES, cause: unknown): LinkError {
  const text = cause instanceof Error ? cause.message : String(cause)
  const what = `${PACKAGES[name]} need the package '${name}'`
  const library = /(lib[\w.+-]+\.so[\w.]*): cannot open shared object/.exec(text)?.[1]
  if (library !== undefined) {
    const where = library.startsWith('libusb-1.0')
      ? ': install it (Debian, Ubuntu: sudo apt-get install libusb-1.0-0; Fedora: sudo dnf install libusb1)'
      : ': install the system package that holds it'
    return new LinkError('package', `${what}, which needs the system library ${library}${where}`, { cause })
  }
  if (/Cannot find (?:package|module)/.test(text)) {
    return new LinkError('package', `${what}, which is not installed: npm install ${name}`, { cause })
  }
  const place = `${process.platform} ${process.arch}`
  return new LinkError('package', `${what}, which does not load on this machine (${place}): ${text}`, { cause })
}
