/** What a driver says to whoever debugs it. */
import { ports } from '../ports/ports.ts'
import { formatText, needsPassiveLevel, type Printable } from '../rtl/format.ts'
import { type NTSTATUS, STATUS_SUCCESS } from '../rtl/status.ts'
import { BugCode } from './bugcodes.ts'
import { bugCheck } from './bugcheck.ts'
import { APC_LEVEL, assertIrqlAtMost, PASSIVE_LEVEL, point } from './level.ts'
import { cpu } from './pcr.ts'

/** Characters that one call sends at most. */
const LONGEST_MESSAGE = 512
const STATUS_ASSERTION_FAILURE = 0xc0000420 | 0

/**
 * Prints a message: %d %i %u %x %X %o %p %c %s, with sizes (%ld, %lld, %I64d), flags and widths (%08x); and %S, %ws, %wZ
 * (a UNICODE_STRING), which Windows takes at PASSIVE_LEVEL only. 512 characters at most.
 *
 * @irql <= DIRQL; PASSIVE_LEVEL for %C, %S, %lc, %ls, %wc, %ws, %wZ
 * @returns STATUS_SUCCESS
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-dbgprint
 */
export function DbgPrint(Format: string, ...Arguments: Printable[]): NTSTATUS {
  point()
  if (needsPassiveLevel(Format)) assertIrqlAtMost(PASSIVE_LEVEL, 'DbgPrint with a Unicode format code')
  ports.processor.print(formatText(Format, Arguments).slice(0, LONGEST_MESSAGE))
  return STATUS_SUCCESS
}

/**
 * DbgPrint of the checked build; the free build prints nothing.
 *
 * @irql <= DIRQL; as DbgPrint
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-kdprint
 */
export function KdPrint(Format: string, ...Arguments: Printable[]): void {
  if (cpu.checked) DbgPrint(Format, ...Arguments)
}

/**
 * Stops the machine when `Condition` does not hold (checked build).
 *
 * @irql any
 * @see https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-nt_assert
 */
export function NT_ASSERT(Condition: boolean): void {
  if (Condition || !cpu.checked) return
  bugCheck({
    code: BugCode.KMODE_EXCEPTION_NOT_HANDLED,
    parameters: [STATUS_ASSERTION_FAILURE],
    message: 'an assertion of the driver does not hold',
  })
}

/**
 * Says that the routine it stands in may be paged out: at DISPATCH_LEVEL or above that is a bug check (checked build).
 *
 * @irql <= APC_LEVEL
 * @see https://learn.microsoft.com/windows-hardware/drivers/kernel/paged_code
 */
export function PAGED_CODE(): void {
  point()
  assertIrqlAtMost(APC_LEVEL, 'a routine with PAGED_CODE()')
}
