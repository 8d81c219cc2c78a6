/** SynchCritSections beside the ISRs of two processors, over each kind of connection (wdm-facts §4.1, §4.4, §4.5). */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { boot, type Machine } from '../../../machine/index.ts'
import { CONNECT_FULLY_SPECIFIED, CONNECT_LINE_BASED } from '../../../kernel/io/interruptex.ts'
import { BUILDS } from './facts.ts'

const driver = new URL('./drivers/synchronize.ts', import.meta.url)
const IoConnectInterrupt = 0 // for the driver
const KINDS: [string, number][] = [
  ['IoConnectInterrupt', IoConnectInterrupt],
  ['CONNECT_FULLY_SPECIFIED', CONNECT_FULLY_SPECIFIED],
  ['CONNECT_LINE_BASED', CONNECT_LINE_BASED],
]

describe.each(BUILDS)('%s build, two processors', (build) => {
  let machine: Machine
  beforeAll(async () => {
    // Vectors that nobody is connected to say so, after a while.
    machine = await boot({ processors: 2, build, print: () => {} })
  })
  afterAll(() => machine.shutdown())

  const connect = (wish: object): Promise<unknown> => machine.run(driver, 'connect', wish)

  /** Runs routines on the processors given, all at once, then disconnects. What was seen, if nobody came between: */
  async function hammer(address: unknown, routines: [string, number][], expected: object): Promise<void> {
    const runs = routines.map(([routine, processor]) => machine.run(driver, routine, address, processor))
    const sections = (await Promise.all(runs)).map((count) => (count as number | undefined) ?? 0)
    const seen = (await machine.run(driver, 'verdict', address)) as { Isrs: number }
    const Count = sections.reduce((sum, one) => sum + one, seen.Isrs)
    expect(seen).toMatchObject({ Count, Mirror: Count, Torn: 0, isFree: true, ...expected })
  }

  test.each(KINDS)(
    'KeSynchronizeExecution and the ISR on the other processor never overlap: %s',
    async (_name, kind) => {
      const routines: [string, number][] = [
        ['interruptHammer', 1],
        ['sectionHammer', 0],
      ]
      await hammer(await connect({ kind, alone: true }), routines, { Processors: 0b10, Levels: 1 << 8 })
    },
  )

  test.each(KINDS)(
    'KeSynchronizeExecution with one lock over two DIRQLs keeps both ISRs, each on its processor, and all callers apart, at the higher DIRQL: %s',
    async (_name, kind) => {
      const routines: [string, number][] = [
        ['interruptHammer', 0],
        ['interruptHammer', 1],
        ['sectionHammer', 0],
        ['sectionHammer', 1],
        ['lockHammer', 0],
        ['lockHammer', 1],
      ]
      // The word of a lock that is held is 1; on a checked build it names the holder.
      const word = build === 'free' ? { Words: 1 } : {}
      await hammer(await connect({ kind }), routines, { Processors: 0b11, Levels: 1 << 8, ...word })
    },
  )

  test.each(KINDS)(
    'IoConnectInterrupt and IoConnectInterruptEx fill the box before the ISR runs on the other processor, and no disconnect returns while it does: %s',
    async (_name, kind) => {
      const address = await machine.run(driver, 'make', { kind })
      const [seen] = await Promise.all([
        machine.run(driver, 'connectAgainAndAgain', address, 0),
        machine.run(driver, 'interruptUntilOver', address, 1),
      ])
      expect(seen).toEqual({ late: 0, unlocked: 0 })
    },
  )

  test.each(KINDS)(
    'KeSynchronizeExecution of a passive-level interrupt and its ISR on the other processor never overlap: %s',
    async (_name, kind) => {
      const routines: [string, number][] = [
        ['slowInterruptHammer', 1],
        ['slowSectionHammer', 0],
        ['slowSectionHammer', 1],
      ]
      const address = await connect({ kind, passive: true, alone: true })
      await hammer(address, routines, { Processors: 0b10, Levels: 1 << 0 })
    },
  )

  test('KeSynchronizeExecution keeps the ISRs of passive-level lines that were connected together apart', async () => {
    const routines: [string, number][] = [
      ['slowInterruptHammer', 0],
      ['slowInterruptHammer', 1],
      ['slowSectionHammer', 0],
      ['slowSectionHammer', 1],
    ]
    const address = await connect({ kind: CONNECT_LINE_BASED, passive: true })
    await hammer(address, routines, { Processors: 0b11, Levels: 1 << 0 })
  })
})
