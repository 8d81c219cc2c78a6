import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

const PROGRAM = fileURLToPath(new URL('./programs/reboot.ts', import.meta.url))
const BOOTS = 200
const MOST_GROWTH_MB = 32

interface Holding {
  resources: string[]
  residentMb: number
}

const execute = promisify(execFile)

test.each([1, 2])(
  `${BOOTS} machines of %i, one after the other, leave no handle and no memory behind`,
  async (processors) => {
    const { stdout } = await execute(process.execPath, ['--expose-gc', PROGRAM, String(processors), String(BOOTS)])
    const { first, last } = JSON.parse(stdout) as { first: Holding; last: Holding }
    expect(last.resources).toEqual(first.resources)
    expect(last.residentMb - first.residentMb).toBeLessThan(MOST_GROWTH_MB)
  },
  300_000,
)
