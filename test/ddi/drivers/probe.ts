import { KeInitializeDpc, KeSynchronizeExecution, KDPC, KINTERRUPT, type KDEFERRED_ROUTINE, struct, ULONG, IoConnectInterrupt, IoSetCancelRoutine, IRP, DEVICE_OBJECT } from 'dirql/wdm'
const EXT = struct('EXT', { a: ULONG, dpc: KDPC })
type EXT = InstanceType<typeof EXT>
async function asyncDpc(_d: KDPC, _e: EXT): Promise<void> {}
async function asyncSync(_e: EXT): Promise<boolean> { return true }
function dpc(_d: KDPC, e: EXT): void { e.a += 1 }
async function cancel(_d: DEVICE_OBJECT, _i: IRP): Promise<void> {}
export function f(e: EXT, i: KINTERRUPT, irp: IRP) {
  KeInitializeDpc(e.dpc, dpc, e)
  KeInitializeDpc(e.dpc, asyncDpc, e)
  const r: number = KeSynchronizeExecution(i, asyncSync, e)
  IoSetCancelRoutine(irp, cancel)
  return r
}
