/** What a request’s IRP looks like on its way, and what sticks of the first one (wdm-facts §1.5, §1.7). */
import { describe, expect, test } from 'vitest'
import { IoCancelIrp } from '../../../kernel/io/cancel.ts'
import { FO_CLEANUP_COMPLETE } from '../../../kernel/io/codes.ts'
import { FILE_ACTION_RENAMED_NEW_NAME, FILE_ACTION_RENAMED_OLD_NAME } from '../../../kernel/fsrtl/codes.ts'
import { Change } from '../../../kernel/fsrtl/layouts.ts'
import { read32 } from '../../../kernel/mm/access.ts'
import { firstEntry } from '../../../kernel/rtl/list.ts'
import { STATUS_UNSUCCESSFUL } from '../../../kernel/rtl/status.ts'
import {
  CANCELLED,
  CLEANUP,
  DELETE_PENDING,
  ENUM_DIR,
  onVolume,
  type Open,
  type Outcome,
  type Request,
  success,
  type Volume,
} from './volume.ts'

const STREAM = 0x5000

test('FsRtlNotifyFullChangeDirectory sets IoStatus.Status to STATUS_SUCCESS, whatever it was', async () => {
  const status = await onVolume(async (volume) => {
    volume.beforeSending = ({ IoStatus }) => {
      IoStatus.Status = STATUS_UNSUCCESSFUL
      IoStatus.Information = 0x1234
    }
    return (await volume.open('\\d').watch({ fullForm: true })).irp.IoStatus.Status
  })
  expect(status).toBe(0)
})

describe('the dispatch routine returns STATUS_PENDING in every case:', () => {
  /** How a request comes to its end, in the call or later; gives back the one that is looked at. */
  const ENDS: [string, Outcome, (volume: Volume, open: Open) => Promise<Request>][] = [
    [
      'is told by a report',
      success('1 a'),
      async (volume, open) => {
        const request = await open.watch()
        await volume.report('\\d\\a')
        return request
      },
    ],
    [
      'finds its file cleaned up',
      CLEANUP,
      (_volume, open) => {
        open.file.Flags |= FO_CLEANUP_COMPLETE
        return open.watch()
      },
    ],
    [
      'finds a cleanup in process',
      CLEANUP,
      async (volume, open) => {
        let again: Promise<Request> | undefined
        await open.watch({ whenDone: () => void (again ??= open.watch()) })
        await volume.cleanupAll()
        return (await again) as Request
      },
    ],
    [
      'finds a deletion in process',
      DELETE_PENDING,
      async (volume, open) => {
        let again: Promise<Request> | undefined
        await open.watch({ whenDone: () => void (again ??= open.watch()) })
        await volume.remove(STREAM)
        return (await again) as Request
      },
    ],
    [
      'finds that changes were lost',
      ENUM_DIR,
      async (volume, open) => {
        await open.watch({ length: 14 })
        await volume.report('\\d\\x')
        await volume.report('\\d\\long')
        return open.watch()
      },
    ],
    [
      'finds changes kept for it',
      success('1 b'),
      async (volume, open) => {
        await open.watch()
        await volume.report('\\d\\a')
        await volume.report('\\d\\b')
        return open.watch()
      },
    ],
    [
      'finds more kept than it has room for',
      ENUM_DIR,
      async (volume, open) => {
        await open.watch()
        await volume.report('\\d\\a')
        await volume.report('\\d\\b')
        return open.watch({ length: 4 })
      },
    ],
    [
      'is cancelled already',
      CANCELLED,
      (volume, open) => {
        volume.beforeSending = (irp) => void IoCancelIrp(irp)
        return open.watch()
      },
    ],
  ]
  test.for(ENDS)('FsRtlNotifyFilterChangeDirectory marks the IRP of a request that %s', async ([, expected, end]) => {
    const seen = await onVolume(async (volume) => {
      const { outcome, isMarkedPending, completions } = await end(volume, volume.open('\\d', STREAM))
      return { outcome, isMarkedPending, completions }
    })
    expect(seen).toEqual({ outcome: expected, isMarkedPending: true, completions: 1 })
  })
})

describe('a later request', () => {
  test('FsRtlNotifyFilterChangeDirectory keeps the TraverseCallback and the SubjectContext of the first request', async () => {
    const seen = await onVolume(async (volume) => {
      const asked: unknown[] = []
      const callback = (name: string) => (_watcher: never, _target: never, subject: unknown) =>
        asked.push(name, subject) > 0
      const open = volume.open('\\d')
      await open.watch({ WatchTree: true, TraverseCallback: callback('first'), SubjectContext: null })
      await volume.report('\\d\\a')
      const second = await open.watch({ WatchTree: true, TraverseCallback: callback('second') })
      await volume.report('\\d\\e\\a')
      return [asked, second.outcome]
    })
    expect(seen).toEqual([['first', null], success('1 e\\a')])
  })

  test('FsRtlNotifyFilterChangeDirectory keeps it that the first request had no callback', async () => {
    const seen = await onVolume(async (volume) => {
      const asked: string[] = []
      const open = volume.open('\\d')
      await open.watch({ WatchTree: true })
      await volume.report('\\d\\a')
      const second = await open.watch({
        TraverseCallback: () => asked.push('traverse') < 0,
        FilterCallback: () => asked.push('filter') < 0,
      })
      await volume.report('\\d\\e\\a', 1, { FilterContext: 1 })
      return [asked, second.outcome]
    })
    expect(seen).toEqual([[], success('1 e\\a')])
  })
})

describe('room', () => {
  test('FsRtlNotifyFilterReportChange goes by the buffer in use: what was begun in a short block of its own does not go on in a longer request', async () => {
    const seen = await onVolume(async (volume) => {
      const open = volume.open('\\d')
      await open.watch({ length: 14 })
      await volume.report('\\d\\x')
      await volume.report('\\d\\a', FILE_ACTION_RENAMED_OLD_NAME)
      const request = await open.watch({ length: 1000 })
      const before = request.outcome
      await volume.report('\\d\\b', FILE_ACTION_RENAMED_NEW_NAME)
      return [before, request.outcome]
    })
    expect(seen).toEqual(['pending', ENUM_DIR])
  })

  test('FsRtlNotifyFilterReportChange goes by the oldest request, not by the first nor by the longest', async () => {
    const seen = await onVolume(async (volume) => {
      const open = volume.open('\\d')
      await open.watch({ length: 1000 })
      await volume.report('\\d\\x')
      const requests = [await open.watch({ length: 14 }), await open.watch({ length: 1000 })]
      await volume.report('\\d\\long')
      return requests.map(({ outcome }) => outcome)
    })
    expect(seen).toEqual([ENUM_DIR, 'pending'])
  })

  test('FsRtlNotifyFilterReportChange counts two bytes for each character of one byte', async () => {
    const seen = await onVolume(async (volume) => {
      const outcomes: Outcome[] = []
      for (const length of [17, 18]) {
        const request = await volume.open(volume.bytes('\\d')).watch({ length })
        await volume.report(volume.bytes('\\d\\abc'), 1, { TargetNameOffset: 3 })
        outcomes.push(request.outcome)
        await volume.cleanupAll()
      }
      return outcomes
    })
    expect(seen).toEqual([ENUM_DIR, success('1 abc')])
  })
})

test('FsRtlNotifyFullChangeDirectory counts one reference for the structure, and one for each request', async () => {
  const counts = await onVolume(async (volume) => {
    const open = volume.open('\\d')
    const seen: number[] = []
    const count = (): void => {
      seen.push(read32(firstEntry(volume.list.address) - Change.NotifyList + Change.References))
    }
    for (let requests = 0; requests < 3; requests++) {
      await open.watch({ fullForm: true })
      count()
    }
    await volume.report('\\d\\a')
    count()
    volume.requests.at(-1)?.cancel()
    count()
    return seen
  })
  expect(counts).toEqual([2, 3, 4, 3, 2])
})
