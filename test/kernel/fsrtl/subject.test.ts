/** Who owns a subject context (wdm-facts §1.10). */
import { describe, expect, test } from 'vitest'
import { FO_CLEANUP_COMPLETE } from '../../../kernel/io/codes.ts'
import {
  SECURITY_SUBJECT_CONTEXT,
  SeCaptureSubjectContext,
  SeReleaseSubjectContext,
} from '../../../kernel/fsrtl/subject.ts'
import { allocateStruct, free, poolFault, poolUsage, tagOf } from '../../../kernel/mm/pool.ts'
import { currentProcess } from '../../../kernel/ob/handle.ts'
import { pointerCount } from '../../../kernel/ob/reference.ts'
import { PsGetCurrentProcessId } from '../../../kernel/ps/process.ts'
import { CLEANUP, onVolume, success } from './volume.ts'

/** A captured context in a block of its own. */
function capture(): SECURITY_SUBJECT_CONTEXT {
  const subject = allocateStruct(SECURITY_SUBJECT_CONTEXT, 'Subj') as SECURITY_SUBJECT_CONTEXT
  SeCaptureSubjectContext(subject)
  return subject
}

/** Contexts that are there: blocks, and references that they have to the process. */
function alive(): number[] {
  const row = poolUsage().find(({ tag }) => tag === 'Subj')
  return [row === undefined ? 0 : row.allocations - row.frees, pointerCount(currentProcess())]
}

/** `alive()` less what was there before. */
function since([blocks = 0, references = 0]: number[]): string {
  const [nowBlocks = 0, nowReferences = 0] = alive()
  return `${nowBlocks - blocks} blocks, ${nowReferences - references} references`
}

const ONE = '1 blocks, 1 references'
const NONE = '0 blocks, 0 references'

test('SeCaptureSubjectContext refers to the process that the thread acts for', async () => {
  const seen = await onVolume(() => {
    const subject = capture()
    const { PrimaryToken, ClientToken, ImpersonationLevel, ProcessAuditId } = subject
    SeReleaseSubjectContext(subject)
    free(subject.address, 'Subj')
    return [
      PrimaryToken === currentProcess(),
      ClientToken,
      ImpersonationLevel,
      ProcessAuditId === PsGetCurrentProcessId(),
    ]
  })
  expect(seen).toEqual([true, 0, 0, true])
})

test('SeReleaseSubjectContext lets go of the process', async () => {
  const seen = await onVolume(() => {
    const before = alive()
    const subject = capture()
    const captured = since(before)
    SeReleaseSubjectContext(subject)
    free(subject.address, 'Subj')
    return [captured, since(before)]
  })
  expect(seen).toEqual([ONE, NONE])
})

describe('a subject context is released and freed once:', () => {
  test('that of the first request when the structure goes, after the traverse callbacks that get it', async () => {
    const seen = await onVolume(async (volume) => {
      const before = alive()
      const subject = capture()
      const open = volume.open('\\d')
      const given: boolean[] = []
      const request = await open.watch({
        WatchTree: true,
        SubjectContext: subject,
        TraverseCallback: (_watcher: never, _target: never, one: SECURITY_SUBJECT_CONTEXT) =>
          given.push(one.address === subject.address && one.PrimaryToken === currentProcess()) > 0,
      })
      await open.watch({ SubjectContext: capture() })
      await volume.report('\\d\\e\\a')
      await volume.report('\\d\\e\\b')
      const kept = since(before)
      await open.cleanup()
      return [request.outcome, given, kept, since(before)]
    })
    expect(seen).toEqual([success('1 e\\a'), [true, true], ONE, NONE])
  })

  test('that of a later request before the call returns', async () => {
    const seen = await onVolume(async (volume) => {
      const open = volume.open('\\d')
      await open.watch()
      const before = alive()
      await open.watch({ SubjectContext: capture() })
      return since(before)
    })
    expect(seen).toBe(NONE)
  })

  test('that of a request which is completed at once with what was kept', async () => {
    const seen = await onVolume(async (volume) => {
      const open = volume.open('\\d')
      await open.watch()
      await volume.report('\\d\\a')
      await volume.report('\\d\\b')
      const before = alive()
      const { outcome } = await open.watch({ SubjectContext: capture() })
      return [outcome, since(before)]
    })
    expect(seen).toEqual([success('1 b'), NONE])
  })

  test('that of a request on a file that was cleaned up', async () => {
    const seen = await onVolume(async (volume) => {
      const open = volume.open('\\d')
      open.file.Flags |= FO_CLEANUP_COMPLETE
      const before = alive()
      const { outcome } = await open.watch({ SubjectContext: capture() })
      return [outcome, since(before)]
    })
    expect(seen).toEqual([CLEANUP, NONE])
  })

  test('that of a call that raises', async () => {
    const seen = await onVolume(async (volume) => {
      const before = alive()
      const subject = capture()
      poolFault.shouldFail = (_size, tag) => tag === tagOf('FsNC')
      await volume.open('\\d').watch({ SubjectContext: subject })
      poolFault.shouldFail = null
      return since(before)
    })
    expect(seen).toBe(NONE)
  })

  test('that of a structure whose last request is cancelled after its cleanup', async () => {
    const seen = await onVolume(async (volume) => {
      const before = alive()
      const open = volume.open('\\d')
      const request = await open.watch({
        SubjectContext: capture(),
        FilterCallback: async () => {
          request.cancel()
          await open.cleanup()
          return false
        },
      })
      await volume.report('\\d\\a', 1, { FilterContext: 1 })
      return since(before)
    })
    expect(seen).toBe(NONE)
  })

  test('none of a watcher without a name: there it is a plain value', async () => {
    const seen = await onVolume(async (volume) => {
      const before = alive()
      const subject = capture()
      const open = volume.open(null)
      await open.watch({ SubjectContext: subject })
      await open.watch({ SubjectContext: subject })
      await open.cleanup()
      const kept = since(before)
      SeReleaseSubjectContext(subject)
      free(subject.address, 'Subj')
      return kept
    })
    expect(seen).toBe(ONE)
  })

  test('none of a call without an IRP, which ignores it', async () => {
    const seen = await onVolume(async (volume) => {
      const before = alive()
      const subject = capture()
      await volume.remove(1, subject)
      const kept = since(before)
      SeReleaseSubjectContext(subject)
      free(subject.address, 'Subj')
      return kept
    })
    expect(seen).toBe(ONE)
  })
})
