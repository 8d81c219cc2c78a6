/** Writes `boards/board.schema.json` from the schema that board files are checked with. */
import { writeFileSync } from 'node:fs'
import { boardJsonSchema } from '../machine/boardschema.ts'

writeFileSync(
  new URL('../boards/board.schema.json', import.meta.url),
  `${JSON.stringify(boardJsonSchema(), null, 2)}\n`,
)
