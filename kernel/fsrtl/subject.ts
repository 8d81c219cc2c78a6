/**
 * SECURITY_SUBJECT_CONTEXT: on whose behalf a request runs. There are no tokens here: the process stands for its own.
 */
import { APC_LEVEL, enter, PASSIVE_LEVEL } from '../ke/level.ts'
import { read32, write32 } from '../mm/access.ts'
import { free } from '../mm/pool.ts'
import { currentProcess } from '../ob/handle.ts'
import { dereferenceObject, referenceObject } from '../ob/reference.ts'
import { PsGetCurrentProcessId } from '../ps/process.ts'
import { struct, ULONG, type View } from '../rtl/struct.ts'

export const SECURITY_SUBJECT_CONTEXT = struct('SECURITY_SUBJECT_CONTEXT', {
  ClientToken: ULONG, // nobody impersonates: 0
  ImpersonationLevel: ULONG,
  PrimaryToken: ULONG, // address of the EPROCESS, with a reference
  ProcessAuditId: ULONG, // the process's number
})
export interface SECURITY_SUBJECT_CONTEXT extends View<typeof SECURITY_SUBJECT_CONTEXT> {}

const { PrimaryToken } = SECURITY_SUBJECT_CONTEXT.offsets

/** Drops what a captured context refers to. */
function release(subject: number): void {
  const process = read32(subject + PrimaryToken)
  write32(subject + PrimaryToken, 0)
  if (process !== 0) dereferenceObject(process)
}

/** Releases a context and frees its pool block: what becomes of one that was handed over. @irql <= DISPATCH_LEVEL */
export function releaseAndFree(subject: number): void {
  release(subject)
  free(subject)
}

/**
 * Fills `SubjectContext` with who the current thread acts for, which is its process.
 *
 * @irql <= APC_LEVEL
 * @deviates (decision 0027) there are no tokens: PrimaryToken is the process object
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/ntifs/nf-ntifs-secapturesubjectcontext
 */
export function SeCaptureSubjectContext(SubjectContext: SECURITY_SUBJECT_CONTEXT): void {
  enter(APC_LEVEL, 'SeCaptureSubjectContext')
  const process = currentProcess()
  referenceObject(process)
  SubjectContext.ClientToken = 0
  SubjectContext.ImpersonationLevel = 0
  SubjectContext.PrimaryToken = process
  SubjectContext.ProcessAuditId = PsGetCurrentProcessId()
}

/**
 * Gives back what SeCaptureSubjectContext took; the memory stays the caller's. Not for a context that was handed to
 * FsRtlNotifyFullChangeDirectory: that is released there.
 *
 * @irql PASSIVE_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/ntifs/nf-ntifs-sereleasesubjectcontext
 */
export function SeReleaseSubjectContext(SubjectContext: SECURITY_SUBJECT_CONTEXT): void {
  enter(PASSIVE_LEVEL, 'SeReleaseSubjectContext')
  release(SubjectContext.address)
}
