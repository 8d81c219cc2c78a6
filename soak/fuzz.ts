/**
 * Soak of everything that comes from outside: bytes on the wire, report descriptors, board files, requests of a user's
 * program. Each case has a seed of its own, so that `node soak/fuzz/child.ts SEED INDEX INDEX+1` runs one again.
 */
import { fork } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import type { FuzzNews } from './fuzz/child.ts'
import type { Soak } from './soak.ts'

const CHILD = fileURLToPath(new URL('./fuzz/child.ts', import.meta.url))
/** A case takes well below a millisecond: whoever is silent for so long hangs. */
const HANG_MS = 20_000
/** What a process may hold: the machine's memory, and the heap of a process that keeps nothing. */
const MOST_HEAP_MB = 192
/** And in all: garbage that is not collected yet, and the machine's own memory, come to half of it. */
const MOST_BYTES = 768 * 2 ** 20
/** A process starts anew after so many cases. */
const SLICE = 100_000
const MOST_TOLD = 5

interface Tally {
  crashes: number
  hangs: number
  told: string[]
  peakBytes: number
}

export const fuzz: Soak = {
  name: 'fuzz',
  summary: 'anything at all as bytes on the wire, report descriptors, board files and requests of user mode',
  count: 1_000_000,
  async run({ count, seed, progress }) {
    const tally: Tally = { crashes: 0, hangs: 0, told: [], peakBytes: 0 }
    const slices = Array.from({ length: Math.ceil(count / SLICE) }, (_, index) => index * SLICE)
    const at = new Map<number, number>()
    const show = (from: number, index: number): void => {
      at.set(from, index - from)
      progress('fuzz', [...at.values()].reduce((sum, done) => sum + done, 0) / count)
    }
    const worker = async (): Promise<void> => {
      for (let from = slices.shift(); from !== undefined; from = slices.shift()) {
        await runSlice({ seed, from, to: Math.min(from + SLICE, count) }, tally, show)
      }
    }
    await Promise.all(Array.from({ length: Math.min(availableParallelism(), slices.length) }, worker))
    const { crashes, hangs, told, peakBytes } = tally
    const remark = [`no process took more than ${Math.round(peakBytes / 2 ** 20)} MiB`, ...told].join('\n')
    return { held: crashes === 0 && hangs === 0, result: { soak: 'fuzz', count, crashes, hangs }, remark }
  },
}

interface Slice {
  seed: number
  from: number
  to: number
}

/** Runs a slice to its end: behind a case that hung or killed its process, another process goes on. */
async function runSlice(slice: Slice, tally: Tally, show: (from: number, index: number) => void): Promise<void> {
  let next = slice.from
  while (next < slice.to) next = await runProcess({ ...slice, from: next }, tally, (index) => show(slice.from, index))
}

/** One process; gives back where to go on. */
function runProcess({ seed, from, to }: Slice, tally: Tally, show: (index: number) => void): Promise<number> {
  const args = [seed, from, to].map(String)
  const child = fork(CHILD, args, {
    execArgv: [`--max-old-space-size=${MOST_HEAP_MB}`],
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  })
  const tell = (text: string): void => {
    if (tally.told.length < MOST_TOLD) tally.told.push(text)
  }
  let last = from
  let isEnded = false
  let isHung = false
  let errors = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (errors = (errors + text).slice(-2000)))
  const watch = setTimeout(() => {
    isHung = true
    child.kill('SIGKILL')
  }, HANG_MS)
  child.on('message', (news: FuzzNews) => {
    watch.refresh()
    if (news.kind === 'at') {
      last = news.index
      show(last)
    } else if (news.kind === 'failed') {
      tally.crashes += 1
      tell(`seed ${seed}, case ${news.index} (${news.target}): ${news.message}`)
    } else {
      isEnded = true
      tally.peakBytes = Math.max(tally.peakBytes, news.peakBytes)
      if (news.peakBytes > MOST_BYTES) {
        tally.crashes += 1
        tell(`seed ${seed}, cases ${from} to ${to} took ${Math.round(news.peakBytes / 2 ** 20)} MiB`)
      }
    }
  })
  return new Promise((resolve) => {
    child.on('close', (code, signal) => {
      clearTimeout(watch)
      if (isEnded) {
        resolve(to)
        return
      }
      if (isHung) tally.hangs += 1
      else tally.crashes += 1
      tell(
        `seed ${seed}, behind case ${last}: ${isHung ? 'it hung' : `the process ended with ${code ?? signal}`} ${errors}`,
      )
      resolve(Math.min(last + 1000, to))
    })
  })
}
