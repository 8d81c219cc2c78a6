/** How changes are recorded, kept, told and lost (wdm-facts §1.3, §1.7). */
import { describe, expect, test } from 'vitest'
import * as codes from '../../../kernel/fsrtl/codes.ts'
import {
  FILE_ACTION_ADDED,
  FILE_ACTION_MODIFIED,
  FILE_ACTION_REMOVED,
  FILE_ACTION_RENAMED_NEW_NAME,
  FILE_ACTION_RENAMED_OLD_NAME,
  FILE_NOTIFY_INFORMATION,
} from '../../../kernel/fsrtl/codes.ts'
import { mem } from '../../../kernel/mm/memory.ts'
import { isPaged, poolFault, tagOf } from '../../../kernel/mm/pool.ts'
import { read32 } from '../../../kernel/mm/access.ts'
import { firstEntry } from '../../../kernel/rtl/list.ts'
import { Change } from '../../../kernel/fsrtl/layouts.ts'
import { blocksInUse, ENUM_DIR, onVolume, type Outcome, success, type Volume, type WatchOptions } from './volume.ts'

const noBuffers = (_size: number, tag: number): boolean => tag === tagOf('FsNB')

/** Reports a rename within `\d`. */
async function rename(volume: Volume, from: string, to: string): Promise<void> {
  await volume.report(`\\d\\${from}`, FILE_ACTION_RENAMED_OLD_NAME)
  await volume.report(`\\d\\${to}`, FILE_ACTION_RENAMED_NEW_NAME)
}

describe('numbers', () => {
  test('the change flags are Windows’', () => {
    const flags = Object.entries(codes).filter(([name]) => name.startsWith('FILE_NOTIFY_CHANGE_'))
    expect(Object.fromEntries(flags.map(([name, value]) => [name.slice('FILE_NOTIFY_CHANGE_'.length), value]))).toEqual(
      {
        FILE_NAME: 0x001,
        DIR_NAME: 0x002,
        NAME: 0x003,
        ATTRIBUTES: 0x004,
        SIZE: 0x008,
        LAST_WRITE: 0x010,
        LAST_ACCESS: 0x020,
        CREATION: 0x040,
        EA: 0x080,
        SECURITY: 0x100,
        STREAM_NAME: 0x200,
        STREAM_SIZE: 0x400,
        STREAM_WRITE: 0x800,
      },
    )
    expect(codes.FILE_NOTIFY_VALID_MASK).toBe(0xfff)
  })

  test('the actions are Windows’', () => {
    const actions = Object.entries(codes).filter(([name]) => name.startsWith('FILE_ACTION_'))
    expect(Object.fromEntries(actions.map(([name, value]) => [name.slice('FILE_ACTION_'.length), value]))).toEqual({
      ADDED: 1,
      REMOVED: 2,
      MODIFIED: 3,
      RENAMED_OLD_NAME: 4,
      RENAMED_NEW_NAME: 5,
      ADDED_STREAM: 6,
      REMOVED_STREAM: 7,
      MODIFIED_STREAM: 8,
      REMOVED_BY_DELETE: 9,
      ID_NOT_TUNNELLED: 10,
      TUNNELLED_ID_COLLISION: 11,
    })
  })

  test('FILE_NOTIFY_INFORMATION lies as Windows lays it out', () => {
    expect({ size: FILE_NOTIFY_INFORMATION.size, ...FILE_NOTIFY_INFORMATION.offsets }).toEqual({
      size: 16,
      NextEntryOffset: 0,
      Action: 4,
      FileNameLength: 8,
      FileName: 12,
    })
  })
})

describe('a record', () => {
  test('of a name of three letters takes 0x12 bytes: header, units, no NUL, no padding', async () => {
    const bytes = await onVolume(async (volume) => {
      const request = await volume.open('\\d').watch()
      await volume.report('\\d\\abc', FILE_ACTION_ADDED)
      return Array.from(mem.u8.slice(request.buffer, request.buffer + 0x12))
    })
    expect(bytes).toEqual([0, 0, 0, 0, 1, 0, 0, 0, 6, 0, 0, 0, 0x61, 0, 0x62, 0, 0x63, 0])
  })

  test('holds UTF-16 units, and any action', async () => {
    const seen = await onVolume(async (volume) => {
      const open = volume.open('\\d')
      const outcomes: Outcome[] = []
      for (const action of [1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 0, 0xffffffff]) {
        const request = await open.watch()
        await volume.report('\\d\\ä日😀', action)
        outcomes.push(request.outcome)
      }
      return outcomes
    })
    const actions = [1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 0, 0xffffffff]
    expect(seen).toEqual(actions.map((action) => success(`${action} ä日😀`)))
  })

  test('of a stream has the file’s name, a colon and the stream’s', async () => {
    const seen = await onVolume(async (volume) => {
      const request = await volume.open('\\').watch({ WatchTree: true })
      await volume.report('\\d\\abc', codes.FILE_ACTION_ADDED_STREAM, { StreamName: 'stream' })
      return request.outcome
    })
    expect(seen).toEqual(success('6 d\\abc:stream'))
  })

  test('begins at a multiple of 4, and the one before points to it', async () => {
    const seen = await onVolume(async (volume) => {
      const open = volume.open('\\d')
      await open.watch()
      await volume.report('\\d\\first')
      for (const name of ['abc', 'abcd', 'e']) await volume.report(`\\d\\${name}`)
      const request = await open.watch()
      const { buffer } = request
      return { outcome: request.outcome, next: [0, 0x14, 0x28].map((at) => read32(buffer + at)) }
    })
    // 12 + 6 and 2 of padding; 12 + 8; 12 + 2, not padded.
    expect(seen).toEqual({ outcome: success('1 abc', '1 abcd', '1 e'), next: [0x14, 0x14, 0] })
    expect(seen.outcome).toMatchObject({ information: 0x28 + 14 })
  })

  test.for<['system' | 'mdl' | 'user', number]>([
    ['system', 0],
    ['mdl', 0],
    ['mdl', 1],
    ['user', 3],
  ])('goes to the request’s buffer, be it %s, and begins it at whatever address (+%i)', async ([buffer, skew]) => {
    const seen = await onVolume(async (volume) => {
      const open = volume.open('\\d')
      const straight = await open.watch({ buffer, skew })
      await volume.report('\\d\\abc')
      await volume.report('\\d\\x')
      await volume.report('\\d\\yz')
      const kept = await open.watch({ buffer, skew })
      return [straight.outcome, kept.outcome]
    })
    expect(seen).toEqual([success('1 abc'), success('1 x', '1 yz')])
  })

  test('goes straight into the buffer of the request that waits: no memory is needed', async () => {
    const seen = await onVolume(async (volume) => {
      const request = await volume.open('\\d').watch()
      poolFault.shouldFail = noBuffers
      await rename(volume, 'a', 'b')
      poolFault.shouldFail = null
      return request.outcome
    })
    expect(seen).toEqual(success('4 a', '5 b'))
  })
})

test('padding between records is zero in a buffer that was not', async () => {
  const pad = await onVolume(async (volume) => {
    volume.beforeSending = ({ AssociatedIrp: { SystemBuffer } }) =>
      void mem.u8.fill(0xff, SystemBuffer, SystemBuffer + 4096)
    const request = await volume.open('\\d').watch()
    await rename(volume, 'abc', 'abcd')
    return Array.from(mem.u8.slice(request.buffer + 0x12, request.buffer + 0x14))
  })
  expect(pad).toEqual([0, 0])
})

describe('changes between two requests', () => {
  test('are all delivered by the next one, in their order', async () => {
    const seen = await onVolume(async (volume) => {
      const open = volume.open('\\d')
      const first = await open.watch()
      await volume.report('\\d\\a', FILE_ACTION_ADDED)
      await volume.report('\\d\\new', FILE_ACTION_ADDED)
      await volume.report('\\d\\new', FILE_ACTION_REMOVED)
      const second = await open.watch()
      const third = await open.watch()
      return [first.outcome, second.outcome, third.outcome]
    })
    expect(seen).toEqual([success('1 a'), success('1 new', '2 new'), 'pending'])
  })

  test('wait in paged pool, in a block as long as the first request’s buffer, which goes when they are told', async () => {
    const seen = await onVolume(async (volume) => {
      const open = volume.open('\\d')
      await open.watch({ length: 1000 })
      await volume.report('\\d\\a')
      const none = blocksInUse()['FsNB']
      await volume.report('\\d\\b')
      const change = firstEntry(volume.list.address) - Change.NotifyList
      const block = read32(change + Change.Buffer)
      const kept = {
        blocks: blocksInUse()['FsNB'],
        paged: isPaged(block),
        room: read32(change + Change.ThisBufferLength),
      }
      await open.watch({ length: 5000 })
      return [none, kept, blocksInUse()['FsNB']]
    })
    expect(seen).toEqual([undefined, { blocks: 1, paged: true, room: 1000 }, undefined])
  })

  test('that the next request has no room for are lost, and that one is told so, once', async () => {
    const seen = await onVolume(async (volume) => {
      const open = volume.open('\\d')
      await open.watch()
      await volume.report('\\d\\a')
      await volume.report('\\d\\b')
      await volume.report('\\d\\c')
      const short = await open.watch({ length: 20 })
      const next = await open.watch()
      return [short.outcome, next.outcome]
    })
    expect(seen).toEqual([ENUM_DIR, 'pending'])
  })

  test('fill up to the last byte of the remembered length', async () => {
    const fill = (length: number): Promise<Outcome> =>
      onVolume(async (volume) => {
        const open = volume.open('\\d')
        await open.watch({ length })
        for (const name of ['x', 'abc', 'ab']) await volume.report(`\\d\\${name}`)
        return (await open.watch()).outcome
      })
    expect(await fill(0x14 + 16)).toEqual(success('1 abc', '1 ab'))
    expect(await fill(0x14 + 15)).toEqual(ENUM_DIR)
  })

  test('that overflow are discarded, those before and those after, until somebody was told', async () => {
    const seen = await onVolume(async (volume) => {
      const open = volume.open('\\d')
      await open.watch({ length: 0x20 })
      for (const name of ['x', 'a', 'b', 'c', 'd']) await volume.report(`\\d\\${name}`)
      const blocks = blocksInUse()['FsNB']
      const told = await open.watch()
      await volume.report('\\d\\e')
      const next = await open.watch()
      return [blocks, told.outcome, next.outcome]
    })
    expect(seen).toEqual([undefined, ENUM_DIR, success('1 e')])
  })

  test('for which there is no memory are lost', async () => {
    const seen = await onVolume(async (volume) => {
      const open = volume.open('\\d')
      await open.watch()
      await volume.report('\\d\\x')
      poolFault.shouldFail = noBuffers
      await volume.report('\\d\\a')
      poolFault.shouldFail = null
      await volume.report('\\d\\b')
      const told = await open.watch()
      const next = await open.watch()
      return [told.outcome, next.outcome]
    })
    expect(seen).toEqual([ENUM_DIR, 'pending'])
  })
})

describe('room', () => {
  test('a buffer of 0x10 bytes is too short for a name of three letters: STATUS_NOTIFY_ENUM_DIR, no bytes', async () => {
    const seen = await onVolume(async (volume) => {
      const requests: Outcome[] = []
      for (const length of [0x10, 0x11, 0x12]) {
        const request = await volume.open('\\d').watch({ length })
        await volume.report('\\d\\abc')
        requests.push(request.outcome)
        await volume.cleanupAll()
      }
      return requests
    })
    expect(seen).toEqual([ENUM_DIR, ENUM_DIR, success('1 abc')])
  })

  test('is that of the request that waits, though the first one’s was shorter', async () => {
    const seen = await onVolume(async (volume) => {
      const open = volume.open('\\d')
      await open.watch({ length: 0x12 })
      await volume.report('\\d\\abc')
      const request = await open.watch({ length: 0x100 })
      await volume.report('\\d\\a long name')
      return request.outcome
    })
    expect(seen).toEqual(success('1 a long name'))
  })

  test('a first request without a buffer makes all later ones end with STATUS_NOTIFY_ENUM_DIR', async () => {
    const seen = await onVolume(async (volume) => {
      const open = volume.open('\\d')
      const outcomes: Outcome[] = []
      for (const options of [{ length: 0, buffer: 'none' }, { length: 0x1000 }, { length: 0x1000 }] as WatchOptions[]) {
        const request = await open.watch(options)
        outcomes.push(request.outcome)
        await volume.report('\\d\\abc')
        outcomes.push(request.outcome)
      }
      return outcomes
    })
    expect(seen).toEqual(['pending', ENUM_DIR, 'pending', ENUM_DIR, 'pending', ENUM_DIR])
  })

  test('IgnoreBuffer does the same', async () => {
    const seen = await onVolume(async (volume) => {
      const open = volume.open('\\d')
      const first = await open.watch({ IgnoreBuffer: true })
      await volume.report('\\d\\abc')
      const second = await open.watch({ IgnoreBuffer: false })
      await volume.report('\\d\\abc')
      return [first.outcome, second.outcome, blocksInUse()['FsNB']]
    })
    expect(seen).toEqual([ENUM_DIR, ENUM_DIR, undefined])
  })

  test('a change between two requests of a watcher without a buffer is not forgotten: the next one ends at once', async () => {
    const seen = await onVolume(async (volume) => {
      const open = volume.open('\\d')
      await open.watch({ IgnoreBuffer: true })
      await volume.report('\\d\\a')
      await volume.report('\\d\\b')
      const second = await open.watch()
      const third = await open.watch()
      return [second.outcome, third.outcome]
    })
    expect(seen).toEqual([ENUM_DIR, 'pending'])
  })

  test('a request without a buffer, after one that had one, spoils nothing for the next', async () => {
    const seen = await onVolume(async (volume) => {
      const open = volume.open('\\d')
      const first = await open.watch()
      await volume.report('\\d\\a')
      const without = await open.watch({ length: 0, buffer: 'none' })
      await volume.report('\\d\\abc')
      const next = await open.watch()
      const before = next.outcome
      await volume.report('\\d\\def')
      return [first.outcome, without.outcome, before, next.outcome]
    })
    expect(seen).toEqual([success('1 a'), ENUM_DIR, 'pending', success('1 def')])
  })

  test('a root watcher stays one after its buffer overflowed', async () => {
    const seen = await onVolume(async (volume) => {
      const open = volume.open('\\')
      await open.watch({ WatchTree: true, length: 0x10 })
      await volume.report('\\d\\abc')
      const next = await open.watch()
      await volume.report('\\d\\abc')
      return next.outcome
    })
    expect(seen).toEqual(success('1 d\\abc'))
  })

  test('a request that says it has room but has no buffer ends with STATUS_NOTIFY_ENUM_DIR', async () => {
    const seen = await onVolume(async (volume) => {
      const request = await volume.open('\\d').watch({ length: 100, buffer: 'none' })
      await volume.report('\\d\\abc')
      return request.outcome
    })
    expect(seen).toEqual(ENUM_DIR)
  })
})

describe('a rename', () => {
  test('arrives as two records in one completion', async () => {
    const seen = await onVolume(async (volume) => {
      const request = await volume.open('\\d').watch()
      await volume.report('\\d\\old', FILE_ACTION_RENAMED_OLD_NAME)
      const half = request.outcome
      await volume.report('\\d\\newer', FILE_ACTION_RENAMED_NEW_NAME)
      return [half, request.outcome]
    })
    expect(seen).toEqual(['pending', success('4 old', '5 newer')])
  })

  test('between two requests arrives with the next one', async () => {
    const seen = await onVolume(async (volume) => {
      const open = volume.open('\\d')
      await open.watch()
      await volume.report('\\d\\x')
      await rename(volume, 'a', 'b')
      return (await open.watch()).outcome
    })
    expect(seen).toEqual(success('4 a', '5 b'))
  })

  test('half of which is recorded lets a request wait for the other half', async () => {
    const seen = await onVolume(async (volume) => {
      const open = volume.open('\\d')
      await open.watch()
      await volume.report('\\d\\x')
      await volume.report('\\d\\y')
      await volume.report('\\d\\a', FILE_ACTION_RENAMED_OLD_NAME)
      const request = await open.watch()
      const half = request.outcome
      await volume.report('\\d\\b', FILE_ACTION_RENAMED_NEW_NAME)
      return [half, request.outcome]
    })
    expect(seen).toEqual(['pending', success('1 y', '4 a', '5 b')])
  })

  test('that was lost lets a request wait for its other half, too', async () => {
    const seen = await onVolume(async (volume) => {
      const open = volume.open('\\d')
      await open.watch({ length: 14 })
      await volume.report('\\d\\x')
      await volume.report('\\d\\y')
      await volume.report('\\d\\a', FILE_ACTION_RENAMED_OLD_NAME)
      const request = await open.watch()
      const half = request.outcome
      await volume.report('\\d\\b', FILE_ACTION_RENAMED_NEW_NAME)
      return [half, request.outcome, (await open.watch()).outcome]
    })
    expect(seen).toEqual(['pending', ENUM_DIR, 'pending'])
  })

  test('whose second half has no room is lost as a whole', async () => {
    const seen = await onVolume(async (volume) => {
      const request = await volume.open('\\d').watch({ length: 16 })
      await rename(volume, 'a', 'b')
      return request.outcome
    })
    expect(seen).toEqual(ENUM_DIR)
  })

  test('of a watcher without a buffer completes once, at its second half', async () => {
    const seen = await onVolume(async (volume) => {
      const open = volume.open('\\d')
      const request = await open.watch({ IgnoreBuffer: true })
      await volume.report('\\d\\a', FILE_ACTION_RENAMED_OLD_NAME)
      const half = request.outcome
      await volume.report('\\d\\b', FILE_ACTION_RENAMED_NEW_NAME)
      return [half, request.outcome, (await open.watch()).outcome]
    })
    expect(seen).toEqual(['pending', ENUM_DIR, 'pending'])
  })

  test('whose second half does not come is told with the next change of any kind', async () => {
    const seen = await onVolume(async (volume) => {
      const request = await volume.open('\\d').watch()
      await volume.report('\\d\\a', FILE_ACTION_RENAMED_OLD_NAME)
      await volume.report('\\d\\c', FILE_ACTION_MODIFIED)
      return request.outcome
    })
    expect(seen).toEqual(success('4 a', '3 c'))
  })

  test('out of the directory is a removal, into it an addition: one record each', async () => {
    const seen = await onVolume(async (volume) => {
      const d = await volume.open('\\d').watch()
      const e = await volume.open('\\e').watch()
      await volume.report('\\d\\a', FILE_ACTION_REMOVED)
      await volume.report('\\e\\a', FILE_ACTION_ADDED)
      return [d.outcome, e.outcome]
    })
    expect(seen).toEqual([success('2 a'), success('1 a')])
  })
})
