/** What the main job shows while it runs: redrawn in place on a terminal, a line a second elsewhere. */
import type { Job, JobOptions } from './job.ts'

export interface View {
  show(): void
  end(): void
}

export function liveView(job: Job, options: JobOptions): View {
  const { processors, virtual, port, seed, withoutEvent } = options
  process.stdout.write(
    `${processors} processor${processors === 1 ? '' : 's'}, ${virtual ? 'virtual' : 'real'} time, board uno-0 ${port === undefined ? 'emulated' : `at ${port}`}` +
      ` (${job.board.firmware ?? 'no firmware told'}), seed ${seed}${withoutEvent ? '; at24 does NOT wait for the bus event' : ''}\n`,
  )
  return process.stdout.isTTY ? terminalView(job) : lineView(job)
}

function lineView(job: Job): View {
  let told = 0
  return {
    show() {
      const second = Math.floor(job.elapsedMs / 1000)
      if (second === told) return
      told = second
      const { temperature, temperatures, pagesWritten, presses, changes, dataErrors } = job.tally
      process.stdout.write(
        `${String(second).padStart(3)} s  ${temperature.toFixed(4)} °C (${temperatures} read)  ${pagesWritten} pages  ${presses} presses  ${changes} changes  ${dataErrors} errors\n`,
      )
    },
    end() {},
  }
}

function terminalView(job: Job): View {
  let height = 0
  const draw = (): void => {
    const rows = rowsOf(job)
    const up = height > 0 ? `\x1b[${height}A` : ''
    process.stdout.write(`${up}${rows.map((row) => `\x1b[K${row}\n`).join('')}`)
    height = rows.length
  }
  return { show: draw, end: draw }
}

function rowsOf(job: Job): string[] {
  const { temperature, temperatures, pagesWritten, presses, changes, dataErrors, error } = job.tally
  const lines = job.board.lines().filter(({ frames }) => frames > 0)
  return [
    '',
    `  ${(job.elapsedMs / 1000).toFixed(1)} s`,
    `  tmp102   ${temperature.toFixed(4).padStart(8)} °C   ${temperatures} read`,
    `  at24     ${String(pagesWritten).padStart(8)} pages written and verified`,
    `  button   ${String(presses).padStart(8)} presses`,
    `  boardfs  ${String(changes).padStart(8)} changes told`,
    `  ${dataErrors} data errors ${error}`,
    '',
    '  line            interrupts     edges   newest line to ISR',
    ...lines.map(
      ({ device, line, frames, edges, latencyUs }) =>
        `  ${`${device}.${line}`.padEnd(15)} ${String(frames).padStart(10)} ${String(edges).padStart(9)}   ${latencyUs.toFixed(1)} us`,
    ),
  ]
}
