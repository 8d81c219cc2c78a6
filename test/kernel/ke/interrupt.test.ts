import { describe, expect, test } from 'vitest'
import { KeInitializeDpc, KeInsertQueueDpc } from '../../../kernel/ke/dpc.ts'
import { StatusError } from '../../../kernel/ke/exception.ts'
import {
  KeAcquireInterruptSpinLock,
  KeReleaseInterruptSpinLock,
  KeSynchronizeExecution,
  Latched,
  LevelSensitive,
  requestVector,
  vectorOf,
} from '../../../kernel/ke/interrupt.ts'
import { KDPC, KINTERRUPT } from '../../../kernel/ke/layouts.ts'
import { KeGetCurrentIrql, KeLowerIrql, KeRaiseIrql } from '../../../kernel/ke/level.ts'
import { KSPIN_LOCK, KeTestSpinLock } from '../../../kernel/ke/spinlock.ts'
import { IoConnectInterrupt, IoDisconnectInterrupt } from '../../../kernel/io/interrupt.ts'
import { boot } from '../../../machine/index.ts'
import { bugCheckOf, bugCheckOn, type Build, BUILDS, make, onBuild } from './facts.ts'

const driver = new URL('./drivers/interrupts.ts', import.meta.url)

interface Connection {
  /** Level and number of the vector. */
  at?: [number, number]
  synchronizeIrql?: number
  mode?: number
  share?: boolean
  lock?: KSPIN_LOCK | null
}

/** Connects `isr`; the first vector of level 5 if nothing is said. */
function connect(isr: (interrupt: KINTERRUPT) => boolean, connection: Connection = {}): KINTERRUPT {
  const { at = [5, 0], synchronizeIrql = at[0], mode = LevelSensitive, share = false, lock = null } = connection
  const box: { value: KINTERRUPT | null } = { value: null }
  const status = IoConnectInterrupt({
    InterruptObject: box,
    ServiceRoutine: isr,
    ServiceContext: null,
    SpinLock: lock,
    Vector: vectorOf(...at),
    Irql: at[0],
    SynchronizeIrql: synchronizeIrql,
    InterruptMode: mode,
    ShareVector: share,
    ProcessorEnableMask: 1,
    FloatingSave: false,
  })
  if (box.value === null) throw new Error(`status ${status}`)
  return box.value
}

/** A line interrupts; it is taken at the kernel call behind, if the level allows it. */
function interrupt(level = 5, number = 0): void {
  requestVector(0, vectorOf(level, number))
  KeGetCurrentIrql()
}

/** A KINTERRUPT as KMT makes it: nothing but its lock and its level. */
function bareInterrupt(synchronizeIrql: number): KINTERRUPT {
  const object = make(KINTERRUPT)
  object.ActualLock = make(KSPIN_LOCK).address
  object.SynchronizeIrql = synchronizeIrql
  return object
}

function at<T>(irql: number, body: () => T): T {
  const old = { value: 0 }
  KeRaiseIrql(irql, old)
  const result = body()
  KeLowerIrql(old.value)
  return result
}

const isFree = (object: KINTERRUPT): boolean => KeTestSpinLock(new KSPIN_LOCK(object.ActualLock))
const LEVELS = [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]

// wdm-facts §4.1, §4.2 [KMT IoInterrupt]
describe.each(BUILDS)('%s build, one processor: KeSynchronizeExecution', (build) => {
  test.each([
    [0, 0],
    [1, 1],
    [2, 2],
    [0x7f, 0x7f],
    [0xff, 0xff],
    [0x102, 2],
    [true, 1],
    [false, 0],
  ])('KeSynchronizeExecution of a routine that returns %s gives %i: the byte, unchanged', async (returned, byte) => {
    expect(await onBuild(build, () => KeSynchronizeExecution(bareInterrupt(5), () => returned, null))).toBe(byte)
  })

  test('KeSynchronizeExecution runs the routine at SynchronizeIrql, from every level up to that', async () => {
    const seen = await onBuild(build, () => {
      const wrong: unknown[] = []
      for (const synchronizeIrql of LEVELS) {
        const object = bareInterrupt(synchronizeIrql)
        for (const irql of [0, 1, ...LEVELS].filter((level) => level <= synchronizeIrql)) {
          const levels: number[] = []
          at(irql, () => {
            levels.push(KeSynchronizeExecution(object, KeGetCurrentIrql, null), KeGetCurrentIrql())
          })
          if (levels[0] !== synchronizeIrql || levels[1] !== irql) wrong.push([irql, synchronizeIrql, ...levels])
        }
      }
      return wrong
    })
    expect(seen).toEqual([])
  })

  test('KeSynchronizeExecution passes the context, and a struct as a struct', async () => {
    const seen = await onBuild(build, () => {
      const object = bareInterrupt(5)
      const contexts: unknown[] = []
      const note = (context: unknown): boolean => {
        contexts.push(context instanceof KINTERRUPT ? context.address === object.address : context)
        return true
      }
      for (const context of [null, 7, object]) KeSynchronizeExecution(object, note, context)
      return contexts
    })
    expect(seen).toEqual([null, 7, true])
  })

  test('KeSynchronizeExecution keeps the ISR out, and lets higher levels in', async () => {
    const seen = await onBuild(build, async () => {
      const order: string[] = []
      const note = (text: string) => (): boolean => order.push(text) > 0
      const own = connect(note('own ISR'))
      const higher = connect(note('higher ISR'), { at: [6, 0] })
      KeSynchronizeExecution(
        own,
        () => {
          interrupt(5)
          interrupt(6)
          return order.push('routine') > 0
        },
        null,
      )
      order.push('behind')
      for (const object of [own, higher]) await IoDisconnectInterrupt(object)
      return order
    })
    expect(seen).toEqual(['higher ISR', 'routine', 'own ISR', 'behind'])
  })

  test('KeSynchronizeExecution whose routine lets an exception escape is bug check 0x1E', async () => {
    const error = await bugCheckOn(build, () =>
      KeSynchronizeExecution(
        bareInterrupt(5),
        () => {
          throw new StatusError(-3)
        },
        null,
      ),
    )
    expect([error.code, error.parameters[0], error.irql]).toEqual([0x1e, -3, 5])
  })

  test.each(LEVELS)(
    'KeAcquireInterruptSpinLock goes to SynchronizeIrql %i, KeReleaseInterruptSpinLock back',
    async (irql) => {
      const seen = await onBuild(build, () => {
        const object = bareInterrupt(irql)
        return [0, 1, 2].map((from) =>
          at(from, () => {
            const old = KeAcquireInterruptSpinLock(object)
            const inside = KeGetCurrentIrql()
            KeReleaseInterruptSpinLock(object, old)
            return [old, inside, KeGetCurrentIrql(), isFree(object)]
          }),
        )
      })
      expect(seen).toEqual([0, 1, 2].map((from) => [from, irql, from, true]))
    },
  )
})

describe('checked build: the lock of an interrupt', () => {
  test('KeSynchronizeExecution and KeAcquireInterruptSpinLock hold it, and give it back', async () => {
    const seen = await onBuild('checked', () => {
      const object = bareInterrupt(5)
      const before = isFree(object)
      const inRoutine = KeSynchronizeExecution(object, () => isFree(object), null)
      const old = KeAcquireInterruptSpinLock(object)
      const inside = isFree(object)
      KeReleaseInterruptSpinLock(object, old)
      return [before, inRoutine, inside, isFree(object)]
    })
    expect(seen).toEqual([true, 0, false, true])
  })

  test.each<[string, (object: KINTERRUPT) => unknown, number]>([
    ['KeSynchronizeExecution above SynchronizeIrql is 0x0A', runNothing, 0x0a],
    ['KeAcquireInterruptSpinLock above SynchronizeIrql is 0x0A', KeAcquireInterruptSpinLock, 0x0a],
  ])('%s', async (_, body, code) => {
    const error = await bugCheckOf(() => at(6, () => body(bareInterrupt(5))))
    expect(error.code).toBe(code)
  })

  test.each<[string, (object: KINTERRUPT) => unknown]>([
    ['KeSynchronizeExecution', runNothing],
    ['KeAcquireInterruptSpinLock', KeAcquireInterruptSpinLock],
  ])('%s inside the lock is bug check 0x0F', async (_, body) => {
    const error = await bugCheckOf(() => {
      const object = bareInterrupt(5)
      KeSynchronizeExecution(object, () => Boolean(body(object)), null)
    })
    expect(error.code).toBe(0x0f)
  })

  test('KeReleaseInterruptSpinLock of a lock that is not held is bug check 0x10', async () => {
    const error = await bugCheckOf(() => at(5, () => KeReleaseInterruptSpinLock(bareInterrupt(5), 0)))
    expect(error.code).toBe(0x10)
  })

  function runNothing(object: KINTERRUPT): number {
    return KeSynchronizeExecution(object, () => true, null)
  }
})

// wdm-facts §4.5
describe.each(BUILDS)('%s build, one processor: delivery', (build) => {
  /** A chain of ISRs on one vector that claim as `claims` says, call by call; gives back the order of the calls. */
  const chain = (mode: number, ...claims: boolean[][]): Promise<string> =>
    onBuild(build, async () => {
      let calls = ''
      const left = claims.map((answers) => [...answers])
      const objects = claims.map((_, index) =>
        connect(
          () => {
            calls += index
            return left[index]?.shift() ?? false
          },
          { mode, share: true },
        ),
      )
      interrupt()
      for (const object of objects) await IoDisconnectInterrupt(object)
      return calls
    })
  const X = true
  const O = false

  test.each<[string, number, boolean[][], string]>([
    ['LevelSensitive: nobody claims', LevelSensitive, [[O], [O], [O]], '012'],
    ['LevelSensitive: the first claims', LevelSensitive, [[X], [X], [X]], '0'],
    ['LevelSensitive: the second claims', LevelSensitive, [[O], [X], [X]], '01'],
    ['LevelSensitive: the last claims', LevelSensitive, [[O], [O], [X]], '012'],
    ['LevelSensitive: one alone', LevelSensitive, [[X]], '0'],
    ['LevelSensitive: one alone that claims nothing', LevelSensitive, [[O]], '0'],
    ['Latched: one alone, whatever it claims', Latched, [[X, X]], '0'],
    ['Latched: nobody claims', Latched, [[O], [O], [O]], '012'],
    ['Latched: the first claims once', Latched, [[X], [O], [O]], '012012'],
    ['Latched: the last claims once', Latched, [[O], [O], [X]], '012012'],
    ['Latched: all claim once', Latched, [[X], [X], [X]], '012012'],
    ['Latched: the second claims three times', Latched, [[O], [X, X, X], [O]], '012012012012'],
    ['Latched: another one claims in the second pass', Latched, [[X], [O, X], [O]], '012012012'],
  ])('IoConnectInterrupt, chain of %s', async (_, mode, claims, calls) => {
    expect(await chain(mode, ...claims)).toBe(calls)
  })

  test('IoConnectInterrupt: each ISR of a chain runs at its own SynchronizeIrql, the chain behind it goes on', async () => {
    const seen = await onBuild(build, async () => {
      const levels: number[] = []
      const note = (): boolean => levels.push(KeGetCurrentIrql()) < 0
      const objects = [7, 5, 9].map((synchronizeIrql) => connect(note, { synchronizeIrql, share: true }))
      interrupt()
      const after = KeGetCurrentIrql()
      for (const object of objects) await IoDisconnectInterrupt(object)
      return [levels, after]
    })
    expect(seen).toEqual([[7, 5, 9], 0])
  })

  test.each([0, 1, 2, 4])(
    'IoConnectInterrupt: an interrupt of level 5 is taken at IRQL %i at the next kernel call',
    async (irql) => {
      const seen = await onBuild(build, async () => {
        const levels: number[] = []
        const object = connect(() => levels.push(KeGetCurrentIrql()) > 0)
        const after = at(irql, () => {
          interrupt()
          return [levels.length, KeGetCurrentIrql()]
        })
        await IoDisconnectInterrupt(object)
        return { levels, after }
      })
      expect(seen).toEqual({ levels: [5], after: [1, irql] })
    },
  )

  test.each([5, 6, 15])(
    'IoConnectInterrupt: at IRQL %i an interrupt of level 5 waits until the level drops; two are one',
    async (irql) => {
      const seen = await onBuild(build, async () => {
        let calls = 0
        const object = connect(() => ++calls > 0)
        const inside = at(irql, () => {
          interrupt()
          interrupt()
          return calls
        })
        await IoDisconnectInterrupt(object)
        return [inside, calls]
      })
      expect(seen).toEqual([0, 1])
    },
  )

  test('IoConnectInterrupt: a higher interrupt nests inside a lower ISR, an equal or lower one waits', async () => {
    const seen = await onBuild(build, async () => {
      const order: string[] = []
      const isr = (level: number, number: number, body: () => void = () => {}) =>
        connect(
          () => {
            order.push(`${level}/${number} begins`)
            body()
            return order.push(`${level}/${number} ends at ${KeGetCurrentIrql()}`) > 0
          },
          { at: [level, number] },
        )
      const objects = [
        isr(3, 0),
        isr(5, 1),
        isr(8, 0),
        isr(5, 0, () => {
          interrupt(3, 0)
          interrupt(5, 1)
          interrupt(8, 0)
        }),
      ]
      interrupt(5, 0)
      for (const object of objects) await IoDisconnectInterrupt(object)
      return order
    })
    expect(seen).toEqual([
      '5/0 begins',
      '8/0 begins',
      '8/0 ends at 8',
      '5/0 ends at 5',
      '5/1 begins',
      '5/1 ends at 5',
      '3/0 begins',
      '3/0 ends at 3',
    ])
  })

  test('IoConnectInterrupt: what waited while the level was raised is taken from the highest level down', async () => {
    const seen = await onBuild(build, async () => {
      const order: number[] = []
      const vectors: [number, number][] = [
        [4, 0],
        [11, 200],
        [3, 7],
        [11, 3],
        [12, 255],
      ]
      const objects = vectors.map((vector) =>
        connect(() => order.push(vector[0] * 1000 + vector[1]) > 0, { at: vector }),
      )
      at(15, () => {
        for (const [level, number] of vectors) requestVector(0, vectorOf(level, number))
      })
      for (const object of objects) await IoDisconnectInterrupt(object)
      return order
    })
    expect(seen).toEqual([12_255, 11_003, 11_200, 4000, 3007])
  })

  test('KeInsertQueueDpc in an ISR: the DPC runs behind all ISRs, before the interrupted code goes on', async () => {
    const seen = await onBuild(build, async () => {
      const order: string[] = []
      const dpc = make(KDPC)
      KeInitializeDpc(dpc, () => void order.push(`DPC at ${KeGetCurrentIrql()}`), null)
      const other = connect(() => order.push('other ISR') > 0, { at: [4, 0] })
      const object = connect(() => {
        interrupt(4, 0)
        order.push(`ISR queues ${KeInsertQueueDpc(dpc, null, null)}`, `again ${KeInsertQueueDpc(dpc, null, null)}`)
        return true
      })
      interrupt()
      order.push('behind')
      for (const each of [object, other]) await IoDisconnectInterrupt(each)
      return order
    })
    expect(seen).toEqual(['ISR queues true', 'again false', 'other ISR', 'DPC at 2', 'behind'])
  })

  test('IoDisconnectInterrupt: the chain goes on with those that are left', async () => {
    const seen = await onBuild(build, async () => {
      let calls = ''
      const isr = (name: string) => connect(() => (calls += name) === '', { share: true })
      const [first, second, third] = [isr('1'), isr('2'), isr('3')]
      const rounds: string[] = []
      for (const gone of [second, first, third]) {
        calls = ''
        interrupt()
        rounds.push(calls)
        await IoDisconnectInterrupt(gone)
      }
      calls = ''
      interrupt()
      return [...rounds, calls]
    })
    expect(seen).toEqual(['123', '13', '3', ''])
  })

  test('IoConnectInterrupt: an exception that an ISR lets escape is bug check 0x1E at the line that threw', async () => {
    const error = await bugCheckOn(build, () => {
      connect(brokenIsr)
      interrupt()
    })
    expect([error.code, error.parameters[0], error.irql]).toEqual([0x1e, -5, 5])
    expect(error.message).toContain('brokenIsr')
    expect(error.file).toContain('interrupt.test.ts')
  })

  test('IoConnectInterrupt: an ISR that returns at another level is bug check 0xC8 (levels and 3, ISR, KINTERRUPT)', async () => {
    let object = 0
    const error = await bugCheckOn(build, () => {
      object = connect(() => {
        KeRaiseIrql(9, { value: 0 })
        return true
      }).address
      interrupt()
    })
    const [levels, routine, address] = error.parameters
    expect([error.code, levels, address]).toEqual([0xc8, (9 << 16) | (5 << 8) | 3, object])
    expect(routine).not.toBe(0)
  })

  function brokenIsr(): boolean {
    throw new StatusError(-5)
  }
})

test('IoConnectInterrupt of an ISR that is async is a bug check: a promise would count as a claim', async () => {
  const error = await bugCheckOn('checked', () => {
    connect((async () => false) as unknown as () => boolean)
    interrupt()
  })
  expect(error.code).toBe(0x121)
  expect(error.message).toMatch(/ISR .*is async/)
})

describe('checked build: one spin lock for several interrupts', () => {
  test('IoConnectInterrupt with a lock of the driver’s: each ISR holds it, at the highest level', async () => {
    const seen = await onBuild('checked', async () => {
      const lock = make(KSPIN_LOCK)
      const rows: unknown[] = []
      const isr = (): boolean => rows.push([KeGetCurrentIrql(), KeTestSpinLock(lock)]) > 0
      const objects = [connect(isr, { synchronizeIrql: 7, lock }), connect(isr, { at: [7, 0], lock })]
      interrupt(5)
      interrupt(7)
      rows.push(KeTestSpinLock(lock))
      for (const object of objects) await IoDisconnectInterrupt(object)
      return rows
    })
    expect(seen).toEqual([[7, false], [7, false], true])
  })
})

describe.each<Build>(BUILDS)('%s build, two processors', (build) => {
  test('KeSynchronizeExecution keeps the ISR of another processor, and other callers, out', async () => {
    await using machine = await boot({ processors: 2, build })
    const device = await machine.run(driver, 'connect', undefined, 1) // its ISR runs on processor 1
    const interrupts = machine.run(driver, 'interruptHammer', device, 1)
    const sections = machine.run(driver, 'sectionHammer', device, 0)
    const [isrs, calls] = (await Promise.all([interrupts, sections])) as [number, number]
    const seen = await machine.run(driver, 'verdict', device, 1)
    expect(seen).toEqual({ count: isrs + calls, mirror: isrs + calls, torn: 0, processors: 2 })
    expect([isrs > 0, calls > 0]).toEqual([true, true])
  })
})
