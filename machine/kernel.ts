/** The kernel above ke begins, in the order in which its parts stand on each other. Once a machine, on processor 0. */
import { initializeObjectManager } from '../kernel/ob/init.ts'
import { initializeProcesses } from '../kernel/ps/init.ts'
import { initializeIo } from '../kernel/io/init.ts'
// These number routines of the kernel's own: in one order on every processor, so before any driver imports them.
import '../kernel/fsrtl/queue.ts'
import '../kernel/io/csq.ts'
import '../kernel/io/workitem.ts'
import '../kernel/ke/dpcflush.ts'

export function startKernel(): void {
  initializeObjectManager()
  initializeProcesses()
  initializeIo()
}
