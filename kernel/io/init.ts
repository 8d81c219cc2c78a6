/** The I/O system begins. Importing this also makes its object types known on the thread. */
import './device.ts'
import './driver.ts'
import { initializeRequests } from './request.ts'
import { initializePnp } from './rootbus.ts'

/** Once a machine, on processor 0 after `initializeProcesses`. */
export function initializeIo(): void {
  initializeRequests()
  initializePnp()
}
