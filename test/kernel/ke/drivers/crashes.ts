/** A driver that stops the machine, and one that breaks the rules for routines. */
import { KeBugCheckEx } from '../../../../kernel/ke/bugcheck.ts'
import { KeInitializeDpc, KeInsertQueueDpc } from '../../../../kernel/ke/dpc.ts'
import { KDPC, KTIMER } from '../../../../kernel/ke/layouts.ts'
import { KeInitializeTimer, KeSetTimerEx } from '../../../../kernel/ke/timer.ts'
import { KeDelayExecutionThread, KernelMode } from '../../../../kernel/ke/wait.ts'
import { allocateStruct } from '../../../../kernel/mm/pool.ts'
import type { DRIVER_OBJECT } from '../../../../kernel/io/layouts.ts'

export const stop = (parameter: number): never => KeBugCheckEx(0xe2, parameter, 0, 0, 0)

export async function stopSoon(parameter: number): Promise<void> {
  await KeDelayExecutionThread(KernelMode, false, -50_000)
  stop(parameter)
}

/** Never gives up: what stops it is that its wait never ends once the machine has stopped. */
export async function pollForEver(): Promise<void> {
  for (;;) {
    try {
      await KeDelayExecutionThread(KernelMode, false, -10_000)
    } catch {
      await new Promise(() => {}) // the machine has stopped: to go on would be a loop without end
    }
  }
}

/** Not exported: no other processor could find it. */
function hidden(): void {}

export function queueHidden(): void {
  const dpc = make(KDPC)
  KeInitializeDpc(dpc, hidden, null)
}

export function queueUnnamed(): void {
  const dpc = make(KDPC)
  KeInitializeDpc(dpc, (() => () => {})(), null)
}

export function queueNothing(): void {
  KeInitializeDpc(make(KDPC), 'tick' as never, null)
}

/** Each in its own struct, as a driver has it in its extension. */
function make<T>(type: { new (address: number): T; readonly size: number }): T {
  const made = allocateStruct(type, 'Test')
  if (made === null) throw new Error('no pool')
  return made
}

/** An exported routine: it may be queued. */
export function tick(): void {}

export function queueTick(): boolean {
  const dpc = make(KDPC)
  KeInitializeDpc(dpc, tick, null)
  return KeInsertQueueDpc(dpc, null, null)
}

/** A driver that forgets to cancel its timer. */
export function DriverEntry(driver: DRIVER_OBJECT): number {
  const timer = make(KTIMER)
  const dpc = make(KDPC)
  driver.DriverUnload = unload
  KeInitializeDpc(dpc, tick, null)
  KeInitializeTimer(timer)
  KeSetTimerEx(timer, -100_000, 10, dpc)
  return 0
}

export function unload(): void {}
