/** The end of watchers (wdm-facts §1.8). */
import { expect, test } from 'vitest'
import { FsRtlNotifyCleanup, FsRtlNotifyCleanupAll } from '../../../kernel/fsrtl/cleanup.ts'
import { APC_LEVEL, DISPATCH_LEVEL, lowerIrql, raiseIrql } from '../../../kernel/ke/level.ts'
import { blocksInUse, CLEANUP, onVolume, success } from './volume.ts'

test('FsRtlNotifyCleanup completes all requests of the open with STATUS_NOTIFY_CLEANUP, and frees its structure', async () => {
  const seen = await onVolume(async (volume) => {
    const open = volume.open('\\d')
    const requests = [await open.watch(), await open.watch()]
    await FsRtlNotifyCleanup(volume.sync, volume.list, open.file)
    return [requests.map(({ outcome }) => outcome), blocksInUse(), volume.isEmpty]
  })
  expect(seen).toEqual([[CLEANUP, CLEANUP], { FSNS: 1 }, true])
})

test('FsRtlNotifyCleanup leaves the other opens of the directory alone', async () => {
  const seen = await onVolume(async (volume) => {
    const [open, other] = [volume.open('\\d', 5), volume.open('\\d', 5)]
    await open.watch()
    const request = await other.watch()
    await open.cleanup()
    await volume.report('\\d\\a')
    return request.outcome
  })
  expect(seen).toEqual(success('1 a'))
})

test('FsRtlNotifyCleanup of a context that nobody watches with is nothing, on an empty list as well', async () => {
  const seen = await onVolume(async (volume) => {
    await FsRtlNotifyCleanup(volume.sync, volume.list, volume.list)
    const request = await volume.open('\\d').watch()
    await FsRtlNotifyCleanup(volume.sync, volume.list, volume.list)
    await FsRtlNotifyCleanup(volume.sync, volume.list, null)
    return request.outcome
  })
  expect(seen).toBe('pending')
})

test('FsRtlNotifyCleanup throws away what is recorded', async () => {
  const seen = await onVolume(async (volume) => {
    const open = volume.open('\\d')
    await open.watch()
    await volume.report('\\d\\a')
    await volume.report('\\d\\b')
    const kept = blocksInUse()['FsNB']
    await open.cleanup()
    return [kept, blocksInUse()]
  })
  expect(seen).toEqual([1, { FSNS: 1 }])
})

test('FsRtlNotifyCleanup ends the life of what the first request asked for: the next one may ask anew', async () => {
  const seen = await onVolume(async (volume) => {
    const open = volume.open('\\d')
    await open.watch({ IgnoreBuffer: true })
    await open.cleanup()
    const request = await open.watch({ WatchTree: true })
    await volume.report('\\d\\e\\a')
    return request.outcome
  })
  expect(seen).toEqual(success('1 e\\a'))
})

test('FsRtlNotifyCleanup and FsRtlNotifyCleanupAll are called at up to APC_LEVEL', async () => {
  const seen = await onVolume(async (volume) => {
    const [one, two] = [volume.open('\\d'), volume.open('\\e')]
    const requests = [await one.watch(), await two.watch()]
    const before = raiseIrql(APC_LEVEL)
    await one.cleanup()
    await volume.cleanupAll()
    lowerIrql(before)
    return requests.map(({ outcome }) => outcome)
  })
  expect(seen).toEqual([CLEANUP, CLEANUP])
})

test.for([
  ['FsRtlNotifyCleanup', FsRtlNotifyCleanup],
  ['FsRtlNotifyCleanupAll', FsRtlNotifyCleanupAll],
] as const)('%s at DISPATCH_LEVEL is a bug check', async ([name, routine]) => {
  const crash = onVolume((volume) => {
    raiseIrql(DISPATCH_LEVEL)
    void routine(volume.sync, volume.list, null)
  })
  await expect(crash).rejects.toThrow(`${name} may be called at APC_LEVEL at most`)
})

test('FsRtlNotifyCleanupAll ends every watcher of the list with STATUS_NOTIFY_CLEANUP', async () => {
  const seen = await onVolume(async (volume) => {
    const requests = []
    for (const name of ['\\', '\\a', '\\a\\b', '\\c']) requests.push(await volume.open(name).watch())
    requests.push(await volume.open(null).watch({ SubjectContext: 7 }))
    await FsRtlNotifyCleanupAll(volume.sync, volume.list)
    return [requests.map(({ outcome }) => outcome), blocksInUse(), volume.isEmpty]
  })
  expect(seen).toEqual([Array.from({ length: 5 }, () => CLEANUP), { FSNS: 1 }, true])
})

test('FsRtlNotifyCleanupAll of an empty list is nothing', async () => {
  expect(await onVolume((volume) => FsRtlNotifyCleanupAll(volume.sync, volume.list))).toBe(undefined)
})

test('FsRtlNotifyCleanupAll bears with a completion routine that cleans up another watcher, or asks again', async () => {
  const seen = await onVolume(async (volume) => {
    const [one, two, three] = [volume.open('\\1'), volume.open('\\2'), volume.open('\\3')]
    const later: unknown[] = []
    await one.watch({ whenDone: () => later.push(three.cleanup()) })
    await two.watch({ whenDone: () => later.push(two.watch()) })
    await three.watch()
    await FsRtlNotifyCleanupAll(volume.sync, volume.list)
    await Promise.all(later)
    return volume.requests.map(({ outcome, completions }) => [outcome, completions])
  })
  expect(seen).toEqual(Array.from({ length: 4 }, () => [CLEANUP, 1]))
})
