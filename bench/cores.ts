/**
 * Two sides that run against each other have a core each, as those in C: on one core who spins keeps the other from
 * running, and who is woken takes over without a word to another core. Linux only; elsewhere the host chooses.
 */
import { spawnSync } from 'node:child_process'
import { readlinkSync } from 'node:fs'

/** The calling thread's number in Linux; 0 elsewhere. */
export function threadNumber(): number {
  return process.platform === 'linux' ? Number(readlinkSync('/proc/thread-self').split('/').at(-1)) : 0
}

let isTold = false

/** Keeps each of the threads on a core of its own. */
export function pin(threads: readonly number[]): void {
  for (const [core, thread] of threads.entries()) {
    if (thread === 0 || isTold) return
    const { error, stderr } = spawnSync('taskset', ['-p', '-c', String(core), String(thread)], { encoding: 'utf8' })
    const reason = error?.message ?? stderr.trim()
    if (reason === '') continue
    isTold = true
    console.error(`bench: the host chooses which threads share a core, for it lets nobody else: ${reason}`)
  }
}
