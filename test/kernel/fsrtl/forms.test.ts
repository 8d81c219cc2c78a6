/** The routines that are forms of one another, and the levels at which each may be called (wdm-facts §1.1). */
import { describe, expect, test } from 'vitest'
import { FsRtlNotifyCleanup, FsRtlNotifyCleanupAll } from '../../../kernel/fsrtl/cleanup.ts'
import { FILE_ACTION_ADDED, FILE_NOTIFY_CHANGE_FILE_NAME } from '../../../kernel/fsrtl/codes.ts'
import {
  FsRtlNotifyFilterReportChange,
  FsRtlNotifyFullReportChange,
  FsRtlNotifyReportChange,
} from '../../../kernel/fsrtl/report.ts'
import { FsRtlNotifyInitializeSync, FsRtlNotifyUninitializeSync, type NOTIFY_SYNC } from '../../../kernel/fsrtl/sync.ts'
import {
  FsRtlNotifyChangeDirectory,
  FsRtlNotifyFilterChangeDirectory,
  FsRtlNotifyFullChangeDirectory,
} from '../../../kernel/fsrtl/watch.ts'
import { APC_LEVEL, DISPATCH_LEVEL, levelName, lowerIrql, PASSIVE_LEVEL, raiseIrql } from '../../../kernel/ke/level.ts'
import { out } from '../../../kernel/ke/out.ts'
import { ENUM_DIR, onVolume, success, type Volume } from './volume.ts'

const change = ({ sync, list }: Volume) => ({
  NotifySync: sync,
  NotifyList: list,
  FsContext: 5,
  FullDirectoryName: null,
  WatchTree: false,
  IgnoreBuffer: false,
  CompletionFilter: 1,
  NotifyIrp: null,
})
const report = ({ sync, list }: Volume) => ({
  NotifySync: sync,
  NotifyList: list,
  FullTargetName: '\\a',
  TargetNameOffset: 2,
  FilterMatch: 1,
  Action: 1,
})

/** The highest level of each routine, and how it is called. */
const ROUTINES: [string, number, (volume: Volume) => unknown][] = [
  [
    'FsRtlNotifyInitializeSync',
    APC_LEVEL,
    () => {
      const box = out<NOTIFY_SYNC | null>()
      const given = FsRtlNotifyInitializeSync(box)
      FsRtlNotifyUninitializeSync(box)
      return given
    },
  ],
  ['FsRtlNotifyUninitializeSync', APC_LEVEL, () => FsRtlNotifyUninitializeSync({ value: null })],
  ['FsRtlNotifyFullChangeDirectory', PASSIVE_LEVEL, (volume) => FsRtlNotifyFullChangeDirectory(change(volume))],
  ['FsRtlNotifyFilterChangeDirectory', PASSIVE_LEVEL, (volume) => FsRtlNotifyFilterChangeDirectory(change(volume))],
  ['FsRtlNotifyChangeDirectory', PASSIVE_LEVEL, (volume) => FsRtlNotifyChangeDirectory(change(volume))],
  ['FsRtlNotifyFullReportChange', PASSIVE_LEVEL, (volume) => FsRtlNotifyFullReportChange(report(volume))],
  ['FsRtlNotifyFilterReportChange', PASSIVE_LEVEL, (volume) => FsRtlNotifyFilterReportChange(report(volume))],
  ['FsRtlNotifyReportChange', PASSIVE_LEVEL, ({ sync, list }) => FsRtlNotifyReportChange(sync, list, '\\a', 2, 1)],
  ['FsRtlNotifyCleanup', APC_LEVEL, ({ sync, list }) => FsRtlNotifyCleanup(sync, list, 5)],
  ['FsRtlNotifyCleanupAll', APC_LEVEL, ({ sync, list }) => FsRtlNotifyCleanupAll(sync, list)],
]

test.for(ROUTINES)(
  '%s gives back nothing, and is a bug check above its highest level',
  async ([name, highest, call]) => {
    const given = await onVolume(async (volume) => {
      const before = raiseIrql(highest)
      const result = await call(volume)
      lowerIrql(before)
      return result
    })
    expect(given).toBe(undefined)
    const above = highest === PASSIVE_LEVEL ? APC_LEVEL : DISPATCH_LEVEL
    const crash = onVolume((volume) => {
      raiseIrql(above)
      void call(volume)
    })
    await expect(crash).rejects.toThrow(`${name} may be called at ${levelName(highest)} at most`)
  },
)

describe('a request', () => {
  test('FsRtlNotifyFullChangeDirectory is FsRtlNotifyFilterChangeDirectory without a filter callback', async () => {
    const seen = await onVolume(async (volume) => {
      const asked: string[] = []
      const request = await volume.open('\\d').watch({
        fullForm: true,
        WatchTree: true,
        TraverseCallback: () => asked.push('traverse') > 0,
        FilterCallback: () => asked.push('filter') < 0,
      })
      await volume.report('\\d\\e\\a', FILE_ACTION_ADDED, { FilterContext: 1 })
      return [asked, request.outcome]
    })
    expect(seen).toEqual([['traverse'], success('1 e\\a')])
  })

  test('FsRtlNotifyFullChangeDirectory minds WatchTree, CompletionFilter and IgnoreBuffer', async () => {
    const seen = await onVolume(async (volume) => {
      const watch = (options: object) => volume.open('\\d').watch({ fullForm: true, ...options })
      const requests = [
        await watch({ WatchTree: false }),
        await watch({ WatchTree: true }),
        await watch({ WatchTree: true, IgnoreBuffer: true }),
        await watch({ WatchTree: true, CompletionFilter: FILE_NOTIFY_CHANGE_FILE_NAME << 1 }),
      ]
      await volume.report('\\d\\e\\a')
      return requests.map(({ outcome }) => outcome)
    })
    expect(seen).toEqual(['pending', success('1 e\\a'), ENUM_DIR, 'pending'])
  })

  test('FsRtlNotifyChangeDirectory has no callbacks', async () => {
    const seen = await onVolume(async (volume) => {
      const asked: string[] = []
      const request = await volume.open('\\d').watch({
        firstForm: true,
        WatchTree: true,
        TraverseCallback: () => asked.push('traverse') < 0,
        FilterCallback: () => asked.push('filter') < 0,
      })
      await volume.report('\\d\\e\\a', FILE_ACTION_ADDED, { FilterContext: 1 })
      return [asked, request.outcome]
    })
    expect(seen).toEqual([[], ENUM_DIR])
  })
})

describe('a report', () => {
  test('FsRtlNotifyFullReportChange is FsRtlNotifyFilterReportChange without a filter context', async () => {
    const seen = await onVolume(async (volume) => {
      const asked: unknown[] = []
      const request = await volume.open('\\d').watch({
        WatchTree: true,
        TraverseCallback: (_watcher: never, target: number) => asked.push(target) > 0,
        FilterCallback: () => asked.push('filter') < 0,
      })
      const parameters = {
        NotifySync: volume.sync,
        NotifyList: volume.list,
        FullTargetName: '\\SHORT~1\\a',
        TargetNameOffset: 2 * '\\SHORT~1\\'.length,
        StreamName: 's',
        NormalizedParentName: '\\d\\e',
        FilterMatch: FILE_NOTIFY_CHANGE_FILE_NAME,
        Action: 7,
        TargetContext: 9,
        FilterContext: 1,
      }
      await FsRtlNotifyFullReportChange(parameters)
      return [asked, request.outcome]
    })
    expect(seen).toEqual([[9], success('7 e\\a:s')])
  })
})
