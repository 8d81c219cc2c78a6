/** Awaits the host on whichever processor it runs, and tells how far virtual time moved meanwhile. */
import { setTimeout } from 'node:timers/promises'
import { host, KeGetCurrentThread, KeQueryInterruptTime } from 'dirql/wdm'

export async function elapsed(): Promise<number> {
  const thread = KeGetCurrentThread().address
  const before = KeQueryInterruptTime()
  const answer = await host(setTimeout(30, 'answer'))
  if (answer !== 'answer' || KeGetCurrentThread().address !== thread) throw new Error('not the same thread')
  return Number(KeQueryInterruptTime() - before)
}
