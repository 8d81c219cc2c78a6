/** Requests to be told of changes (wdm-facts §1.4, §1.5). */
import { describe, expect, test } from 'vitest'
import { FO_CLEANUP_COMPLETE } from '../../../kernel/io/codes.ts'
import { Change } from '../../../kernel/fsrtl/layouts.ts'
import {
  FILE_ACTION_RENAMED_OLD_NAME,
  FILE_NOTIFY_CHANGE_DIR_NAME,
  FILE_NOTIFY_CHANGE_SIZE,
} from '../../../kernel/fsrtl/codes.ts'
import {
  FsRtlNotifyChangeDirectory,
  FsRtlNotifyFilterChangeDirectory,
  FsRtlNotifyFullChangeDirectory,
} from '../../../kernel/fsrtl/watch.ts'
import { APC_LEVEL, raiseIrql } from '../../../kernel/ke/level.ts'
import { poolFault, tagOf } from '../../../kernel/mm/pool.ts'
import { firstEntry } from '../../../kernel/rtl/list.ts'
import {
  blocksInUse,
  CLEANUP,
  DELETE_PENDING,
  ENUM_DIR,
  onVolume,
  type Outcome,
  success,
  type Volume,
  without,
} from './volume.ts'

const STREAM = 0x5000
const OWN_TAGS = ['FsNI', 'FsNT', 'FsNC', 'FsND'].map(tagOf)

/** Parameters that say that a directory is deleted. */
const parameters = (volume: Volume) => ({
  NotifySync: volume.sync,
  NotifyList: volume.list,
  FsContext: STREAM,
  FullDirectoryName: null,
  WatchTree: false,
  IgnoreBuffer: false,
  CompletionFilter: 1,
  NotifyIrp: null,
})

describe('a request', () => {
  test('FsRtlNotifyFullChangeDirectory marks the IRP pending, holds its structure in Information, and waits', async () => {
    const seen = await onVolume(async (volume) => {
      const { irp, outcome } = await volume.open('\\d').watch()
      const { Status, Information } = irp.IoStatus
      const structure = firstEntry(volume.list.address) - Change.NotifyList
      return [outcome, Status, Information === structure, irp.CancelRoutine !== null]
    })
    expect(seen).toEqual(['pending', 0, true, true])
  })

  test('FsRtlNotifyFullChangeDirectory on a file that was cleaned up ends with STATUS_NOTIFY_CLEANUP, and nothing is made', async () => {
    const seen = await onVolume(async (volume) => {
      const open = volume.open('\\d')
      open.file.Flags |= FO_CLEANUP_COMPLETE
      const { outcome } = await open.watch()
      return [outcome, volume.isEmpty]
    })
    expect(seen).toEqual([CLEANUP, true])
  })

  test('FsRtlNotifyFilterChangeDirectory puts each structure at the tail of the list', async () => {
    const seen = await onVolume(async (volume) => {
      const [first, second] = [await volume.open('\\b').watch(), await volume.open('\\a').watch()]
      const structures = [first, second].map(({ irp }) => irp.IoStatus.Information + Change.NotifyList)
      const { Flink, Blink } = volume.list
      return [Flink?.address === structures[0], Blink?.address === structures[1]]
    })
    expect(seen).toEqual([true, true])
  })

  test('FsRtlNotifyFullChangeDirectory finds the structure by FsContext: another open has its own', async () => {
    const seen = await onVolume(async (volume) => {
      const [open, other] = [volume.open('\\d'), volume.open('\\d')]
      await open.watch()
      await open.watch()
      const one = blocksInUse()['FsNC']
      await other.watch()
      return [one, blocksInUse()['FsNC']]
    })
    expect(seen).toEqual([1, 2])
  })

  test('FsRtlNotifyFullChangeDirectory without memory raises STATUS_INSUFFICIENT_RESOURCES, and leaves nothing, whichever allocation fails', async () => {
    const seen = await onVolume(async (volume) => {
      const outcomes: Outcome[] = []
      const left: unknown[] = []
      for (let failing = 0; outcomes.at(-1) !== 'pending'; failing++) {
        let count = 0
        poolFault.shouldFail = (_size, tag) => OWN_TAGS.includes(tag) && count++ === failing
        outcomes.push((await volume.open('\\d\\e').watch()).outcome)
        poolFault.shouldFail = null
        left.push([blocksInUse(), volume.isEmpty])
      }
      return [outcomes, left.slice(0, -1)]
    })
    // The index, its three tables, the structure, the three directories: '', d and e.
    const failures = Array.from({ length: 8 }, () => without('INSUFFICIENT_RESOURCES'))
    expect(seen).toEqual([[...failures, 'pending'], failures.map(() => [{ FSNS: 1 }, true])])
  })

  test('FsRtlNotifyFullChangeDirectory without memory leaves the other watchers of the list alone', async () => {
    const seen = await onVolume(async (volume) => {
      const other = await volume.open('\\d').watch()
      for (const tag of OWN_TAGS) {
        poolFault.shouldFail = (_size, one) => one === tag
        await volume.open(`\\d\\${tag}`).watch()
        poolFault.shouldFail = null
      }
      await volume.report('\\d\\abc')
      return [other.outcome, volume.requests.map(({ outcome }) => outcome === 'pending')]
    })
    // A structure and a directory are made; the index is there, and its tables have room.
    expect(seen).toEqual([success('1 abc'), [false, true, true, false, false]])
  })

  test('FsRtlNotifyFullChangeDirectory above PASSIVE_LEVEL is a bug check', async () => {
    const crash = onVolume((volume) => {
      raiseIrql(APC_LEVEL)
      void FsRtlNotifyFullChangeDirectory(parameters(volume))
    })
    await expect(crash).rejects.toThrow(/FsRtlNotifyFullChangeDirectory may be called at PASSIVE_LEVEL at most/)
  })
})

describe('a second request of the same open', () => {
  test('keeps the first one’s filter: a removal is told though the second asks for sizes', async () => {
    const seen = await onVolume(async (volume) => {
      const open = volume.open('\\d')
      const first = await open.watch({ CompletionFilter: FILE_NOTIFY_CHANGE_DIR_NAME })
      await volume.report('\\d\\a', 1, { FilterMatch: FILE_NOTIFY_CHANGE_DIR_NAME })
      const second = await open.watch({ CompletionFilter: FILE_NOTIFY_CHANGE_SIZE })
      await volume.report('\\d\\a', 3, { FilterMatch: FILE_NOTIFY_CHANGE_SIZE })
      const before = second.outcome
      await volume.report('\\d\\a', 2, { FilterMatch: FILE_NOTIFY_CHANGE_DIR_NAME })
      return [first.outcome, before, second.outcome]
    })
    expect(seen).toEqual([success('1 a'), 'pending', success('2 a')])
  })

  test.for([true, false])('keeps the first one’s WatchTree, which was %s', async (WatchTree) => {
    const seen = await onVolume(async (volume) => {
      const open = volume.open('\\d')
      await open.watch({ WatchTree })
      await volume.report('\\d\\a')
      const second = await open.watch({ WatchTree: !WatchTree })
      await volume.report('\\d\\e\\a')
      return second.outcome
    })
    expect(seen).toEqual(WatchTree ? success('1 e\\a') : 'pending')
  })

  test('keeps the first one’s name and callbacks', async () => {
    const seen = await onVolume(async (volume) => {
      const asked: string[] = []
      const open = volume.open('\\d')
      await open.watch({ FilterCallback: () => asked.push('first') > 0 })
      await volume.report('\\d\\a', 1, { FilterContext: 1 })
      const second = await open.watch({ FullDirectoryName: '\\e', FilterCallback: () => asked.push('second') > 0 })
      await volume.report('\\e\\a', 1, { FilterContext: 1 })
      const before = second.outcome
      await volume.report('\\d\\b', 1, { FilterContext: 1 })
      return [asked, before, second.outcome]
    })
    expect(seen).toEqual([['first', 'first'], 'pending', success('1 b')])
  })

  test('keeps the first one’s length for what is recorded without a request', async () => {
    const seen = await onVolume(async (volume) => {
      const open = volume.open('\\d')
      await open.watch({ length: 14 })
      await volume.report('\\d\\a')
      const second = await open.watch({ length: 1000 })
      await volume.report('\\d\\b')
      await volume.report('\\d\\long')
      return [second.outcome, (await open.watch({ length: 1000 })).outcome]
    })
    expect(seen).toEqual([success('1 b'), ENUM_DIR])
  })

  test('waits behind the first one while nothing is recorded', async () => {
    const seen = await onVolume(async (volume) => {
      const open = volume.open('\\d')
      const requests = [await open.watch(), await open.watch(), await open.watch()]
      for (const name of ['a', 'b', 'c']) await volume.report(`\\d\\${name}`)
      return requests.map(({ outcome }) => outcome)
    })
    expect(seen).toEqual([success('1 a'), success('1 b'), success('1 c')])
  })

  test('of an open that is being cleaned up ends with STATUS_NOTIFY_CLEANUP, once', async () => {
    const seen = await onVolume(async (volume) => {
      const open = volume.open('\\d')
      const again: Promise<unknown>[] = []
      const first = await open.watch({ whenDone: () => void again.push(open.watch()) })
      await open.watch()
      await open.cleanup()
      await Promise.all(again)
      return [first.outcome, volume.requests.map(({ outcome, completions }) => [outcome, completions])]
    })
    const once = [CLEANUP, 1]
    expect(seen).toEqual([CLEANUP, [once, once, once]])
  })
})

describe('the deletion of a directory', () => {
  test('FsRtlNotifyFullChangeDirectory without an IRP ends all requests of its file objects with STATUS_DELETE_PENDING', async () => {
    const seen = await onVolume(async (volume) => {
      const [one, two, other] = [volume.open('\\d', STREAM), volume.open('\\d', STREAM), volume.open('\\d', 0x6000)]
      const requests = [await one.watch(), await one.watch(), await two.watch(), await other.watch()]
      await FsRtlNotifyFullChangeDirectory(parameters(volume))
      return requests.map(({ outcome }) => outcome)
    })
    expect(seen).toEqual([DELETE_PENDING, DELETE_PENDING, DELETE_PENDING, 'pending'])
  })

  test('FsRtlNotifyFilterChangeDirectory without an IRP ignores all but the lock, the list and the context', async () => {
    const seen = await onVolume(async (volume) => {
      const request = await volume.open('\\d', STREAM).watch()
      const asked: string[] = []
      await FsRtlNotifyFilterChangeDirectory({
        ...parameters(volume),
        FullDirectoryName: '\\e',
        WatchTree: true,
        IgnoreBuffer: true,
        CompletionFilter: 0,
        TraverseCallback: () => asked.push('traverse') > 0,
        FilterCallback: () => asked.push('filter') > 0,
        SubjectContext: 0x1234,
      })
      return [request.outcome, asked]
    })
    expect(seen).toEqual([DELETE_PENDING, []])
  })

  test('the context that a request was made with is another thing, and matches nothing', async () => {
    const seen = await onVolume(async (volume) => {
      const open = volume.open('\\d', STREAM)
      const request = await open.watch()
      await volume.remove(open.file.address)
      return request.outcome
    })
    expect(seen).toBe('pending')
  })

  test('is nothing to a structure without requests, and does not last: the next request waits', async () => {
    const seen = await onVolume(async (volume) => {
      const open = volume.open('\\d', STREAM)
      await open.watch()
      await volume.report('\\d\\a')
      await volume.remove(STREAM)
      const request = await open.watch()
      const before = request.outcome
      await volume.report('\\d\\b')
      return [before, request.outcome]
    })
    expect(seen).toEqual(['pending', success('1 b')])
  })

  test('keeps what is recorded: half a rename waits for its other half', async () => {
    const seen = await onVolume(async (volume) => {
      const open = volume.open('\\d', STREAM)
      const first = await open.watch()
      await volume.report('\\d\\a', FILE_ACTION_RENAMED_OLD_NAME)
      await volume.remove(STREAM)
      const second = await open.watch()
      await volume.report('\\d\\b', 5)
      return [first.outcome, second.outcome]
    })
    expect(seen).toEqual([DELETE_PENDING, success('4 a', '5 b')])
  })

  test('while it goes on, a request from a completion routine ends with STATUS_DELETE_PENDING, too', async () => {
    const seen = await onVolume(async (volume) => {
      const open = volume.open('\\d', STREAM)
      const again: Promise<unknown>[] = []
      await open.watch({ whenDone: () => void again.push(open.watch()) })
      await volume.remove(STREAM)
      await Promise.all(again)
      return volume.requests.map(({ outcome }) => outcome)
    })
    expect(seen).toEqual([DELETE_PENDING, DELETE_PENDING])
  })

  test('on an empty list is nothing', async () => {
    expect(await onVolume((volume) => volume.remove(STREAM))).toBe(undefined)
  })
})

test('FsRtlNotifyChangeDirectory ignores the buffer', async () => {
  const seen = await onVolume(async (volume) => {
    const request = await volume.open('\\d').watch({ firstForm: true, WatchTree: true })
    await volume.report('\\d\\e\\a')
    return request.outcome
  })
  expect(seen).toEqual(ENUM_DIR)
})

test('FsRtlNotifyChangeDirectory without an IRP tells of a deletion, too', async () => {
  const seen = await onVolume(async (volume) => {
    const request = await volume.open('\\d', STREAM).watch({ firstForm: true })
    await FsRtlNotifyChangeDirectory(parameters(volume))
    return request.outcome
  })
  expect(seen).toEqual(DELETE_PENDING)
})
