/** `dirql demo`, which is `npm start`: the main job, live. */
import { Job, type JobOptions, type Summary } from '../demo/job.ts'
import { liveView } from '../demo/view.ts'
import { ExitCode } from '../exitcodes.ts'
import { Interruption } from '../interrupted.ts'

export async function demo({ json, ...options }: JobOptions & { json: boolean }): Promise<number> {
  using interruption = new Interruption()
  const say = (text: string): void => void (json || process.stdout.write(text))
  const job = await Job.boot(options, (text) => json || process.stderr.write(text))
  try {
    const view = json ? null : liveView(job, options)
    const summary = await job.run(
      () => view?.show(),
      () => interruption.hasHappened,
    )
    view?.end()
    say(inWords(summary, job))
    if (json) process.stdout.write(`${JSON.stringify(summary)}\n`)
    return hasHeld(summary) ? ExitCode.Held : ExitCode.Lost
  } finally {
    await job.shutdown()
  }
}

const hasHeld = ({ lostInterrupts, mixedTransactions, dataErrors, bugChecks }: Summary): boolean =>
  lostInterrupts === 0 && (mixedTransactions ?? 0) === 0 && dataErrors === 0 && bugChecks === 0

function inWords(summary: Summary, { tally }: Job): string {
  const { interrupts, lostInterrupts, dpcs, transactions, mixedTransactions, dataErrors, eventHandovers } = summary
  const mixed = mixedTransactions === null ? 'nobody looked for mixed ones' : `${mixedTransactions} of them mixed`
  return [
    '',
    `${interrupts} interrupts, ${lostInterrupts} lost; ${dpcs} DPCs; line to ISR p50 ${summary.isrLatencyUs.p50} us, p99 ${summary.isrLatencyUs.p99} us`,
    `${transactions} transactions on the bus, ${mixed}; ${eventHandovers} hand-overs of the bus event between the two drivers`,
    `${tally.temperatures} temperatures read, ${tally.alerts} alerts, ${tally.pagesWritten} pages written and verified, ${tally.presses} presses, ${summary.changesReported} changes told to the watcher`,
    `${dataErrors} data errors${tally.error === '' ? '' : ` (the last: ${tally.error})`}`,
    hasHeld(summary) ? 'all held' : 'something was lost or mixed',
    '',
  ].join('\n')
}
