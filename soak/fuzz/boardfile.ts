/** Any board file: it is taken, or refused with what is wrong with it. */
import { readdirSync, readFileSync } from 'node:fs'
import { readBoardFile } from '../../machine/boardfile.ts'
import { UsageError } from '../../machine/errors.ts'
import type { Random } from './random.ts'

const BOARDS = new URL('../../boards/', import.meta.url)
const FILES: unknown[] = readdirSync(BOARDS, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .flatMap(({ name }): unknown[] => {
    try {
      return [JSON.parse(readFileSync(new URL(`${name}/board.json`, BOARDS), 'utf8'))]
    } catch {
      return [] // a board without a file
    }
  })

export function intoBoardFile(random: Random): void {
  const file = random.mutate(random.pick(FILES), random.pick([0.01, 0.05, 0.2]))
  if (typeof file !== 'object' || file === null) return
  try {
    readBoardFile(file)
  } catch (error) {
    if (!(error instanceof UsageError) || error.message.length < 10) throw error
  }
}
