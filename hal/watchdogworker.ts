/** The watchdog's thread (hal/watchdog.ts). */
import { Session } from 'node:inspector'
import { parentPort, workerData } from 'node:worker_threads'
import type { Hang, WatchdogSeat } from './watchdog.ts'

const { beats, limitMs, canLook } = workerData as WatchdogSeat
const beat = new Int32Array(beats)
let last = 0
let since = performance.now()
let isReported = false

setInterval(
  () => {
    const now = Atomics.load(beat, 0)
    if (now !== last) {
      last = now
      since = performance.now()
      return
    }
    const ms = Math.round(performance.now() - since)
    if (ms < limitMs || isReported) return
    isReported = true
    if (canLook) look(ms)
    else report({ ms, stack: '' })
  },
  Math.max(limitMs / 4, 5),
)

function report({ ms, stack }: Hang): void {
  // The watched thread may never read its messages again: what is written here is seen in any case.
  process.stderr.write(`dirql: the processor hangs: no turn of the event loop for ${ms} ms\n${stack}`)
  parentPort?.postMessage({ ms, stack } satisfies Hang)
}

interface Frame {
  functionName: string
  url: string
  location: { scriptId: string; lineNumber: number; columnNumber?: number | undefined }
}

/** Stops the main thread where it is, reads its stack, and ends what runs there. */
function look(ms: number): void {
  const session = new Session()
  const urls = new Map<string, string>()
  session.connectToMainThread()
  session.on('Debugger.scriptParsed', ({ params }) => urls.set(params.scriptId, params.url))
  session.on('Debugger.paused', ({ params }) => {
    report({ ms, stack: params.callFrames.map((frame) => lineOf(frame, urls)).join('') })
    session.post('Runtime.terminateExecution')
    session.post('Debugger.resume', () => session.post('Debugger.disable', () => session.disconnect()))
  })
  session.post('Debugger.enable')
  session.post('Debugger.pause')
}

/** A frame as `Error.stack` has it. */
function lineOf({ functionName, url, location }: Frame, urls: Map<string, string>): string {
  const place = `${url || urls.get(location.scriptId) || '<unknown>'}:${location.lineNumber + 1}:${(location.columnNumber ?? 0) + 1}`
  return functionName === '' ? `    at ${place}\n` : `    at ${functionName} (${place})\n`
}
