/** Which watchers a report reaches (wdm-facts §1.6), and what it does to them (§1.7). */
import { describe, expect, test } from 'vitest'
import {
  FILE_ACTION_MODIFIED,
  FILE_NOTIFY_CHANGE_ATTRIBUTES,
  FILE_NOTIFY_CHANGE_DIR_NAME,
  FILE_NOTIFY_CHANGE_FILE_NAME,
  FILE_NOTIFY_CHANGE_NAME,
  FILE_NOTIFY_CHANGE_SIZE,
  FILE_NOTIFY_VALID_MASK,
} from '../../../kernel/fsrtl/codes.ts'
import {
  FsRtlNotifyFilterReportChange,
  FsRtlNotifyFullReportChange,
  FsRtlNotifyReportChange,
} from '../../../kernel/fsrtl/report.ts'
import { currentIrql, DISPATCH_LEVEL, raiseIrql } from '../../../kernel/ke/level.ts'
import { Root } from '../../../kernel/ke/pcr.ts'
import { write32 } from '../../../kernel/mm/access.ts'
import { STATUS_ACCESS_DENIED, STATUS_SUCCESS } from '../../../kernel/rtl/status.ts'
import { COMPLETES_ALL } from '../../../kernel/fsrtl/pending.ts'
import { settle } from '../ex/threads.ts'
import { CLEANUP, ENUM_DIR, onVolume, type Outcome, success, type WatchOptions } from './volume.ts'

/** Watches `name`, reports `target`, and gives back what the watcher learned. */
function seenBy(name: string, target: string, options: WatchOptions = {}): Promise<Outcome> {
  return onVolume(async (volume) => {
    const request = await volume.open(name).watch(options)
    await volume.report(target)
    return request.outcome
  })
}

describe('the path of a change', () => {
  test('FsRtlNotifyFullReportChange reaches the watcher of the target’s directory', async () => {
    expect(await seenBy('\\d', '\\d\\abc')).toEqual(success('1 abc'))
  })

  test('FsRtlNotifyFullReportChange with offset 0 does nothing at all', async () => {
    const seen = await onVolume(async (volume) => {
      const request = await volume.open('\\').watch({ WatchTree: true })
      await volume.report('\\d\\abc', 1, { TargetNameOffset: 0 })
      return request.outcome
    })
    expect(seen).toBe('pending')
  })

  test.for<[string, string, string, boolean, Outcome]>([
    ['a watcher of the directory above learns nothing', '\\d', '\\d\\e\\abc', false, 'pending'],
    ['a watcher of the tree above learns the way', '\\d', '\\d\\e\\abc', true, success('1 e\\abc')],
    ['a watcher of a tree far above learns the whole way', '\\d', '\\d\\e\\f\\g\\abc', true, success('1 e\\f\\g\\abc')],
    ['a watcher of the tree learns of a direct child', '\\d', '\\d\\abc', true, success('1 abc')],
    ['a watcher below the change learns nothing', '\\d\\e', '\\d\\abc', true, 'pending'],
    ['a name that only begins alike is no parent', '\\d', '\\de\\abc', true, 'pending'],
    ['a name that only begins alike is no directory above', '\\d', '\\de\\f\\abc', true, 'pending'],
    ['names differ by case', '\\D', '\\d\\abc', true, 'pending'],
    ['the watched directory itself being changed is nothing to its own watcher', '\\d', '\\d', true, 'pending'],
    ['a change in the root reaches the watcher of the root', '\\', '\\abc', false, success('1 abc')],
    ['a change below does not reach the watcher of the root alone', '\\', '\\d\\abc', false, 'pending'],
    ['a root needs no separator behind it', '\\', '\\d\\abc', true, success('1 d\\abc')],
    ['a root is above everything', '\\', '\\d\\e\\f\\abc', true, success('1 d\\e\\f\\abc')],
    ['a change in the root does not reach other directories', '\\d', '\\abc', true, 'pending'],
    ['one character is a root whatever it is', 'x', 'xy\\abc', true, success('1 y\\abc')],
    ['a name with a separator at its end is another directory', '\\d\\', '\\d\\abc', true, 'pending'],
    [
      'a name with a separator at its end has what an empty name leads to',
      '\\d\\',
      '\\d\\\\abc',
      false,
      success('1 abc'),
    ],
  ])('%s', async ([, name, target, WatchTree, outcome]) => {
    expect(await seenBy(name, target, { WatchTree })).toEqual(outcome)
  })

  test('a watcher without a name is passed by', async () => {
    const seen = await onVolume(async (volume) => {
      const requests = [await volume.open('').watch({ WatchTree: true }), await volume.open(null).watch()]
      await volume.report('\\abc')
      return requests.map(({ outcome }) => outcome)
    })
    expect(seen).toEqual(['pending', 'pending'])
  })

  test('a watcher who has no bit of the report in its filter is passed by', async () => {
    for (let bit = 1; bit <= FILE_NOTIFY_VALID_MASK; bit <<= 1) {
      const seen = await onVolume(async (volume) => {
        const own = await volume.open('\\d').watch({ CompletionFilter: bit })
        const all = await volume.open('\\d').watch({ CompletionFilter: FILE_NOTIFY_VALID_MASK })
        const others = await volume.open('\\d').watch({ CompletionFilter: FILE_NOTIFY_VALID_MASK & ~bit })
        await volume.report('\\d\\abc', FILE_ACTION_MODIFIED, { FilterMatch: bit })
        return [own.outcome, all.outcome, others.outcome]
      })
      expect(seen).toEqual([success('3 abc'), success('3 abc'), 'pending'])
    }
  })

  test('FILE_NOTIFY_CHANGE_FILE_NAME reports no directories, FILE_NOTIFY_CHANGE_DIR_NAME no files, _NAME both', async () => {
    const seen = await onVolume(async (volume) => {
      const watch = (CompletionFilter: number) => volume.open('\\d').watch({ CompletionFilter })
      const files = await watch(FILE_NOTIFY_CHANGE_FILE_NAME)
      const directories = await watch(FILE_NOTIFY_CHANGE_DIR_NAME)
      const names = await watch(FILE_NOTIFY_CHANGE_NAME)
      await volume.report('\\d\\sub', 1, { FilterMatch: FILE_NOTIFY_CHANGE_DIR_NAME })
      return [files, directories, names].map(({ outcome }) => outcome)
    })
    expect(seen).toEqual(['pending', success('1 sub'), success('1 sub')])
  })

  test('the filter itself is not looked at: 0 matches nothing, and -1 everything', async () => {
    const seen = await onVolume(async (volume) => {
      const none = await volume.open('\\d').watch({ CompletionFilter: 0 })
      const all = await volume.open('\\d').watch({ CompletionFilter: -1 >>> 0 })
      await volume.report('\\d\\abc', 1, { FilterMatch: 0x80000000 | FILE_NOTIFY_CHANGE_SIZE })
      return [none.outcome, all.outcome]
    })
    expect(seen).toEqual(['pending', success('1 abc')])
  })

  test('overlapping watchers of trees all learn of a change, in the order of the list', async () => {
    const seen = await onVolume(async (volume) => {
      const order: string[] = []
      const watch = (name: string) =>
        volume.open(name).watch({ WatchTree: true, whenDone: () => void order.push(name) })
      const requests = [await watch('\\a\\b'), await watch('\\'), await watch('\\a'), await watch('\\a\\b')]
      await volume.report('\\a\\b\\c')
      return { order, outcomes: requests.map(({ outcome }) => outcome) }
    })
    expect(seen).toEqual({
      order: ['\\a\\b', '\\', '\\a', '\\a\\b'],
      outcomes: [success('1 c'), success('1 a\\b\\c'), success('1 b\\c'), success('1 c')],
    })
  })

  test('the end of one overlapping watcher leaves the other working', async () => {
    const seen = await onVolume(async (volume) => {
      const parent = volume.open('\\a')
      await parent.watch({ WatchTree: true })
      const child = await volume.open('\\a\\b').watch({ WatchTree: true })
      await parent.cleanup()
      await volume.report('\\a\\b\\c')
      return child.outcome
    })
    expect(seen).toEqual(success('1 c'))
  })

  test('NormalizedParentName stands for the parent: watchers gave the long name', async () => {
    const seen = await onVolume(async (volume) => {
      const long = await volume.open('\\long name').watch()
      const short = await volume.open('\\LONG~1').watch()
      const above = await volume.open('\\').watch({ WatchTree: true })
      await volume.report('\\LONG~1\\abc', 1, { NormalizedParentName: '\\long name' })
      return [long, short, above].map(({ outcome }) => outcome)
    })
    expect(seen).toEqual([success('1 abc'), 'pending', success('1 long name\\abc')])
  })

  test('the offset is in bytes, and may name more than the last component', async () => {
    const seen = await onVolume(async (volume) => {
      const request = await volume.open('\\d').watch()
      await volume.report('\\d\\e\\abc', 1, { TargetNameOffset: 2 * '\\d\\'.length })
      return request.outcome
    })
    expect(seen).toEqual(success('1 e\\abc'))
  })

  test('counted strings in memory and literals are one', async () => {
    const seen = await onVolume(async (volume) => {
      const counted = await volume.open(volume.unicode('\\d')).watch()
      const literal = await volume.open('\\d').watch()
      await volume.report(volume.unicode('\\d\\abc'), 1, { TargetNameOffset: 6, StreamName: volume.unicode('s') })
      return [counted.outcome, literal.outcome]
    })
    expect(seen).toEqual([success('1 abc:s'), success('1 abc:s')])
  })
})

describe('characters of one byte', () => {
  test('a name whose second byte is not 0 is OEM: its changes come in UTF-16', async () => {
    const seen = await onVolume(async (volume) => {
      const own = await volume.open(volume.bytes('\\d')).watch()
      const tree = await volume.open(volume.bytes('\\')).watch({ WatchTree: true })
      // In code page 437 0x84 is ä and 0x81 ü.
      const target = volume.bytes('\\d\\x\x84')
      await volume.report(target, 1, { TargetNameOffset: 3, StreamName: volume.bytes('\x81') })
      return [own.outcome, tree.outcome]
    })
    expect(seen).toEqual([success('1 xä:ü'), success('1 d\\xä:ü')])
  })

  test('a name of less than two bytes is OEM, and a root', async () => {
    const seen = await onVolume(async (volume) => {
      const request = await volume.open(volume.bytes('\\')).watch()
      await volume.report(volume.bytes('\\abc'), 1, { TargetNameOffset: 1 })
      return request.outcome
    })
    expect(seen).toEqual(success('1 abc'))
  })

  test('a UTF-16 name whose first unit has a high byte is taken for OEM', async () => {
    const seen = await onVolume(async (volume) => {
      const request = await volume.open('日\\d').watch()
      await volume.report('日\\d\\abc', 1, { TargetNameOffset: 2 * '日\\d\\'.length })
      return request.outcome
    })
    // The parent ends one byte, not two, before the target, so it is longer than the name.
    expect(seen).toBe('pending')
  })

  test('both kinds live on one list, each told in its own way', async () => {
    const seen = await onVolume(async (volume) => {
      const narrow = await volume.open(volume.bytes('\\d')).watch()
      const wide = await volume.open('\\d').watch()
      await volume.report(volume.bytes('\\d\\abc'), 1, { TargetNameOffset: 3 })
      await volume.report('\\d\\abc')
      return [narrow.outcome, wide.outcome]
    })
    expect(seen).toEqual([success('1 abc'), success('1 abc')])
  })
})

describe('view indexes', () => {
  test('FsRtlNotifyFilterReportChange without a target reaches the nameless watchers of TargetContext, with the stream’s name', async () => {
    const seen = await onVolume(async (volume) => {
      const one = await volume.open(null).watch({ SubjectContext: 0x1234 })
      const other = await volume.open(null).watch({ SubjectContext: 0x5678 })
      const named = await volume.open('\\d').watch()
      await volume.report(null, 3, { TargetContext: 0x1234, StreamName: 'key' })
      return [one, other, named].map(({ outcome }) => outcome)
    })
    expect(seen).toEqual([success('3 key'), 'pending', 'pending'])
  })

  test('a report for a view index minds the filter and asks no traverse callback', async () => {
    const seen = await onVolume(async (volume) => {
      const asked: string[] = []
      const options = {
        SubjectContext: 1,
        TraverseCallback: () => asked.push('traverse') < 0,
        FilterCallback: () => asked.push('filter') > 0,
      }
      const request = await volume.open(null).watch(options)
      await volume.report(null, 3, { TargetContext: 1, FilterMatch: FILE_NOTIFY_CHANGE_SIZE, FilterContext: 1 })
      const before = request.outcome
      await volume.report(null, 3, { TargetContext: 1, FilterContext: 1 })
      return [before, request.outcome, asked]
    })
    expect(seen).toEqual(['pending', success('3 '), ['filter']])
  })
})

describe('TraverseCallback', () => {
  test('is asked of changes in subdirectories alone, with the watcher’s, the target’s and the subject’s context', async () => {
    const seen = await onVolume(async (volume) => {
      const asked: unknown[] = []
      const open = volume.open('\\d')
      const options: WatchOptions = {
        WatchTree: true,
        TraverseCallback: (watcher: { address: number }, target: number, subject: null) => {
          asked.push([watcher.address === open.file.address, target, subject, currentIrql()])
          return true
        },
      }
      const request = await open.watch(options)
      await volume.report('\\d\\abc', 1, { TargetContext: 5 })
      await volume.report('\\d\\e\\abc', 1, { TargetContext: 6 })
      return { asked, outcome: request.outcome }
    })
    expect(seen).toEqual({ asked: [[true, 6, null, 0]], outcome: success('1 abc') })
  })

  test.for<[string, boolean | number, boolean]>([
    ['TRUE lets the change be reported', true, true],
    ['FALSE keeps it back', false, false],
    ['a BOOLEAN of 2 is TRUE', 2, true],
    ['STATUS_SUCCESS is 0, and so FALSE', STATUS_SUCCESS, false],
    ['STATUS_ACCESS_DENIED is not 0, and so TRUE', STATUS_ACCESS_DENIED, true],
  ])('%s', async ([, answer, isTold]) => {
    const outcome = await seenBy('\\d', '\\d\\e\\abc', { WatchTree: true, TraverseCallback: () => answer })
    expect(outcome).toEqual(isTold ? success('1 e\\abc') : 'pending')
  })

  test('may wait', async () => {
    const seen = await onVolume(
      async (volume) => {
        const ask = async (): Promise<boolean> => {
          await settle()
          return true
        }
        const requests = [
          await volume.open('\\d').watch({ WatchTree: true, TraverseCallback: ask }),
          await volume.open('\\').watch({ WatchTree: true, TraverseCallback: ask, FilterCallback: ask }),
          await volume.open('\\d').watch({ WatchTree: true, TraverseCallback: async () => false }),
        ]
        await volume.report('\\d\\e\\abc', 1, { FilterContext: 1 })
        return requests.map(({ outcome }) => outcome)
      },
      { clock: 'virtual' },
    )
    expect(seen).toEqual([success('1 e\\abc'), success('1 d\\e\\abc'), 'pending'])
  })

  test('an exception that it lets escape is bug check 0x1E', async () => {
    const crash = seenBy('\\d', '\\d\\e\\abc', {
      WatchTree: true,
      TraverseCallback: () => {
        throw new Error('no')
      },
    })
    await expect(crash).rejects.toMatchObject({ code: 0x1e })
  })
})

describe('FilterCallback', () => {
  test('FsRtlNotifyFilterReportChange asks it, with the watcher’s and the filter’s context, and FALSE keeps the change back', async () => {
    const seen = await onVolume(async (volume) => {
      const asked: unknown[] = []
      const open = volume.open('\\d')
      const request = await open.watch({
        FilterCallback: (watcher: { address: number }, context: number) => {
          asked.push([watcher.address === open.file.address, context])
          return context === 2
        },
      })
      await volume.report('\\d\\a', 1, { FilterContext: 1 })
      const first = request.outcome
      await volume.report('\\d\\b', 1, { FilterContext: 2 })
      return { asked, first, second: request.outcome }
    })
    const asked = [
      [true, 1],
      [true, 2],
    ]
    expect(seen).toEqual({ asked, first: 'pending', second: success('1 b') })
  })

  test('is not asked where the report has no filter context, nor by FsRtlNotifyFullReportChange', async () => {
    const seen = await onVolume(async (volume) => {
      const open = volume.open('\\d')
      const first = await open.watch({ FilterCallback: () => false })
      await volume.report('\\d\\a', 1, { FilterContext: null })
      const second = await open.watch()
      await FsRtlNotifyFullReportChange({
        NotifySync: volume.sync,
        NotifyList: volume.list,
        FullTargetName: '\\d\\b',
        TargetNameOffset: 6,
        FilterMatch: FILE_NOTIFY_CHANGE_FILE_NAME,
        Action: 2,
      })
      return [first.outcome, second.outcome]
    })
    expect(seen).toEqual([success('1 a'), success('2 b')])
  })

  test('is asked after the traverse callback, and not where that refused', async () => {
    const seen = await onVolume(async (volume) => {
      const asked: string[] = []
      let mayTraverse = false
      await volume.open('\\d').watch({
        WatchTree: true,
        TraverseCallback: () => asked.push('traverse') > 0 && mayTraverse,
        FilterCallback: () => asked.push('filter') > 0,
      })
      await volume.report('\\d\\e\\a', 1, { FilterContext: 1 })
      mayTraverse = true
      await volume.report('\\d\\e\\a', 1, { FilterContext: 1 })
      return asked
    })
    expect(seen).toEqual(['traverse', 'traverse', 'filter'])
  })

  test('that ends the watchers of the report has none of them told', async () => {
    const seen = await onVolume(async (volume) => {
      const last = volume.open('\\d')
      const first = await volume.open('\\d').watch({
        FilterCallback: async () => {
          await volume.cleanupAll()
          return true
        },
      })
      const second = await last.watch()
      await volume.report('\\d\\a', 1, { FilterContext: 1 })
      return [first.outcome, second.outcome, volume.isEmpty]
    })
    expect(seen).toEqual([CLEANUP, CLEANUP, true])
  })
})

describe('several requests of one open', () => {
  test('FsRtlNotifyFullReportChange completes the oldest, and the next change the next', async () => {
    const seen = await onVolume(async (volume) => {
      const open = volume.open('\\d')
      const requests = [await open.watch(), await open.watch()]
      await volume.report('\\d\\a')
      const between = requests.map(({ outcome }) => outcome)
      await volume.report('\\d\\b')
      return [between, requests.map(({ outcome }) => outcome)]
    })
    expect(seen).toEqual([
      [success('1 a'), 'pending'],
      [success('1 a'), success('1 b')],
    ])
  })

  test('FsRtlNotifyFullReportChange completes all of them where the switch says so: the oldest with the change', async () => {
    const seen = await onVolume(async (volume) => {
      write32(Root.FsRtlFlags, COMPLETES_ALL)
      const open = volume.open('\\d')
      const requests = [await open.watch(), await open.watch(), await open.watch()]
      await volume.report('\\d\\a')
      return requests.map(({ outcome }) => outcome)
    })
    expect(seen).toEqual([success('1 a'), ENUM_DIR, ENUM_DIR])
  })

  test('a completion routine that asks again gets the next change, not the same one', async () => {
    const seen = await onVolume(async (volume) => {
      const open = volume.open('\\d')
      const outcomes: Outcome[] = []
      const again = (): void => {
        outcomes.push(volume.requests.at(-1)?.outcome ?? 'pending')
        if (outcomes.length < 3) void open.watch({ whenDone: again })
      }
      await open.watch({ whenDone: again })
      for (const name of ['a', 'b', 'c']) await volume.report(`\\d\\${name}`)
      return outcomes
    })
    expect(seen).toEqual([success('1 a'), success('1 b'), success('1 c')])
  })
})

describe('the first forms', () => {
  test('FsRtlNotifyReportChange takes the length of the last component, and records action 0', async () => {
    const seen = await onVolume(async (volume) => {
      const request = await volume.open('\\d').watch({ CompletionFilter: FILE_NOTIFY_CHANGE_ATTRIBUTES })
      const { sync, list } = volume
      await FsRtlNotifyReportChange(sync, list, volume.unicode('\\d\\abc'), 6, FILE_NOTIFY_CHANGE_ATTRIBUTES)
      return request.outcome
    })
    expect(seen).toEqual(success('0 abc'))
  })

  test('FsRtlNotifyReportChange of a whole name does nothing: its offset is 0', async () => {
    const seen = await onVolume(async (volume) => {
      const request = await volume.open('\\').watch({ WatchTree: true })
      await FsRtlNotifyReportChange(volume.sync, volume.list, '\\abc', 8, FILE_NOTIFY_CHANGE_FILE_NAME)
      return request.outcome
    })
    expect(seen).toBe('pending')
  })
})

test('FsRtlNotifyFullReportChange finds each of a thousand watchers, while others come and go', async () => {
  const seen = await onVolume(async (volume) => {
    const opens = Array.from({ length: 1000 }, (_, number) => volume.open(`\\${number % 10}\\${number}`))
    for (const open of opens) await open.watch()
    for (const open of opens.filter((_, number) => number % 3 === 0)) await open.cleanup()
    for (const { name } of opens) await volume.report(`${name as string}\\f`)
    return volume.requests.map(({ outcome }) => outcome)
  })
  expect(seen).toEqual(seen.map((_, number) => (number % 3 === 0 ? CLEANUP : success('1 f'))))
})

test('FsRtlNotifyFilterReportChange on an empty list does nothing', async () => {
  expect(await onVolume((volume) => volume.report('\\d\\abc'))).toBe(undefined)
})

test('FsRtlNotifyFilterReportChange above PASSIVE_LEVEL is a bug check', async () => {
  const crash = onVolume((volume) => {
    raiseIrql(DISPATCH_LEVEL)
    void FsRtlNotifyFilterReportChange({
      NotifySync: volume.sync,
      NotifyList: volume.list,
      FullTargetName: '\\a',
      TargetNameOffset: 2,
      FilterMatch: 1,
      Action: 1,
    })
  })
  await expect(crash).rejects.toThrow(/FsRtlNotifyFilterReportChange may be called at PASSIVE_LEVEL at most/)
})
