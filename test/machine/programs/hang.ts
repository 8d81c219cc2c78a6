// Boots a machine of one processor whose driver loops for ever, and one after it; prints what came of them.
import { readFileSync } from 'node:fs'
import { boot, BugCheckError } from '../../../machine/index.ts'

const MISTAKES = new URL('../drivers/faults/mistakes.ts', import.meta.url)

async function hang(): Promise<object> {
  await using machine = await boot({ watchdog: 200 })
  try {
    await machine.run(MISTAKES, 'hang')
  } catch (error) {
    if (!(error instanceof BugCheckError)) throw error
    const { code, file, line } = error
    const text = readFileSync(MISTAKES, 'utf8').split('\n')[(line ?? 0) - 1]
    return { code, file, isTheLoop: text?.includes('for (;;)') === true }
  }
  throw new Error('the loop ended')
}

const hung = await hang()
await using machine = await boot()
console.log(JSON.stringify({ ...hung, next: await machine.run(MISTAKES, 'sound') }))
