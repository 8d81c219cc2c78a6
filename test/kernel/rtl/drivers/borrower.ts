/** Exports another driver's globals: no driver may. */
export { Globals } from './globals.ts'
export const DriverEntry = (): number => 0
