/** simavr, which is under the GPL: Debian's program, run beside, where it is installed. Nothing of it is linked or copied. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { stripVTControlCharacters } from 'node:util'
import { Uno } from '../firmware-sim/avr/uno.ts'
import type { Take } from './benchmark.ts'
import { HZ } from './peers/uno.ts'

/** It prints what the emulated program sends on standard error, so many bytes a line. */
const BYTES_PER_LINE = 256
/** Of Linux: processor time is counted in such parts of a second. */
const TICKS_PER_SECOND = 100

let isThere: boolean | undefined

/** `{ simavr: take }`, or nothing where it is not installed, which is said. `image` sends a `p` each time it is through. */
export function simavr(image: string, seconds: number): Record<string, Take> {
  isThere ??= spawnSync('simavr', ['--help']).error === undefined
  if (!isThere || process.platform !== 'linux') {
    console.error('bench: simavr is left out: it takes Linux and Debian’s package simavr')
    return {}
  }
  return { simavr: () => run(image, seconds) }
}

/** Emulated seconds that its program takes for a line. */
function secondsPerLine(image: string): number {
  const { chip } = new Uno({ firmware: readFileSync(image, 'latin1') })
  let bytes = 0
  chip.usart.onByte = () => (bytes += 1)
  while (bytes < BYTES_PER_LINE) chip.run(chip.cycles + HZ / 1000)
  return chip.cycles / HZ
}

async function run(image: string, seconds: number): Promise<number> {
  const perLine = secondsPerLine(image)
  const wanted = Math.max(1, Math.ceil(seconds / perLine))
  const child = spawn('simavr', ['-m', 'atmega328p', '-f', String(HZ), image], { stdio: ['ignore', 'ignore', 'pipe'] })
  const lines = createInterface({ input: child.stderr })
  let begin = 0
  let count = 0
  for await (const line of lines) {
    if (/[^p]/.test(stripVTControlCharacters(line).replace(/\.*$/, ''))) throw new Error(`simavr says ${line}`)
    if (count === 0) begin = processorSeconds(child)
    else if (count === wanted) break
    count += 1
  }
  const taken = processorSeconds(child) - begin
  child.kill('SIGKILL')
  await once(child, 'exit')
  return (wanted * perLine) / taken
}

/** What a process has taken of its processors. */
function processorSeconds({ pid }: ChildProcess): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ')
  const [user, system] = [Number(fields[11]), Number(fields[12])]
  return (user + system) / TICKS_PER_SECOND
}
