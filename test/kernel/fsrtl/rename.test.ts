/** Watched directories that are renamed while they are watched (wdm-facts §1.5: the name’s pointer sticks). */
import { describe, expect, test } from 'vitest'
import {
  FILE_ACTION_ADDED,
  FILE_ACTION_REMOVED,
  FILE_ACTION_RENAMED_NEW_NAME,
  FILE_ACTION_RENAMED_OLD_NAME,
  FILE_NOTIFY_CHANGE_DIR_NAME,
} from '../../../kernel/fsrtl/codes.ts'
import type { UNICODE_STRING } from '../../../kernel/rtl/string.ts'
import { blocksInUse, onVolume, spell, success, type Volume } from './volume.ts'

const DIRECTORY = { FilterMatch: FILE_NOTIFY_CHANGE_DIR_NAME }

/** Renames a directory as a file system does: the old name is reported, the strings change, the new name is reported. */
async function rename(volume: Volume, from: string, to: string, strings: [UNICODE_STRING, string][]): Promise<void> {
  await volume.report(from, FILE_ACTION_RENAMED_OLD_NAME, DIRECTORY)
  for (const [string, text] of strings) spell(string, text)
  await volume.report(to, FILE_ACTION_RENAMED_NEW_NAME, DIRECTORY)
}

test('a watcher is not told of its own directory’s new name, but of what then happens in it', async () => {
  const seen = await onVolume(async (volume) => {
    const name = volume.unicode('\\old', 10)
    const request = await volume.open(name).watch({ CompletionFilter: 0xfff })
    await rename(volume, '\\old', '\\newer', [[name, '\\newer']])
    const before = request.outcome
    await volume.report('\\old\\a')
    const still = request.outcome
    await volume.report('\\newer\\a')
    return [before, still, request.outcome]
  })
  expect(seen).toEqual(['pending', 'pending', success('1 a')])
})

test('those who watch below a renamed directory follow it', async () => {
  const seen = await onVolume(async (volume) => {
    const names = ['\\a\\b', '\\a\\b\\c', '\\a\\bc'].map((text) => volume.unicode(text, 20)) as [
      UNICODE_STRING,
      UNICODE_STRING,
      UNICODE_STRING,
    ]
    const requests = []
    for (const name of names) requests.push(await volume.open(name).watch())
    await rename(volume, '\\a\\b', '\\a\\x', [
      [names[0], '\\a\\x'],
      [names[1], '\\a\\x\\c'],
    ])
    for (const parent of ['\\a\\x', '\\a\\x\\c', '\\a\\bc']) await volume.report(`${parent}\\file`)
    return requests.map(({ outcome }) => outcome)
  })
  expect(seen).toEqual([success('1 file'), success('1 file'), success('1 file')])
})

test('a directory that is moved is reported as removed and added', async () => {
  const seen = await onVolume(async (volume) => {
    const name = volume.unicode('\\a\\d', 20)
    const request = await volume.open(name).watch({ WatchTree: true })
    await volume.report('\\a\\d', FILE_ACTION_REMOVED, DIRECTORY)
    spell(name, '\\b\\d')
    await volume.report('\\b\\d', FILE_ACTION_ADDED, DIRECTORY)
    await volume.report('\\b\\d\\e\\file')
    return request.outcome
  })
  expect(seen).toEqual(success('1 e\\file'))
})

test('a string that changes without a report is looked at with the next request', async () => {
  const seen = await onVolume(async (volume) => {
    const name = volume.unicode('\\old', 10)
    const open = volume.open(name)
    const first = await open.watch()
    spell(name, '\\new')
    await volume.report('\\new\\a')
    const before = first.outcome
    const second = await open.watch()
    await volume.report('\\new\\b')
    await volume.report('\\new\\c')
    return [before, first.outcome, second.outcome]
  })
  expect(seen).toEqual(['pending', success('1 b'), success('1 c')])
})

test('a string that comes to name the root makes its watcher one of everything', async () => {
  const seen = await onVolume(async (volume) => {
    const name = volume.unicode('\\x')
    const open = volume.open(name)
    const request = await open.watch({ WatchTree: true })
    spell(name, '\\')
    await open.watch()
    await volume.report('\\d\\a')
    return request.outcome
  })
  expect(seen).toEqual(success('1 d\\a'))
})

test('a literal is a copy, and no rename moves it', async () => {
  const seen = await onVolume(async (volume) => {
    const request = await volume.open('\\old').watch()
    await rename(volume, '\\old', '\\new', [])
    await volume.report('\\new\\a')
    const before = request.outcome
    await volume.report('\\old\\a')
    return [before, request.outcome]
  })
  expect(seen).toEqual(['pending', success('1 a')])
})

describe('a removal that is none of a rename', () => {
  test('leaves the watchers where they are, and their end finds nothing amiss', async () => {
    const seen = await onVolume(async (volume) => {
      const open = volume.open(volume.unicode('\\d'))
      const request = await open.watch()
      await volume.report('\\d', FILE_ACTION_REMOVED, DIRECTORY)
      await volume.report('\\d', FILE_ACTION_REMOVED, DIRECTORY)
      await volume.report('\\d', FILE_ACTION_ADDED, DIRECTORY)
      await volume.report('\\d\\a')
      await open.cleanup()
      return [request.outcome, blocksInUse()]
    })
    expect(seen).toEqual([success('1 a'), { FSNS: 1 }])
  })
})
