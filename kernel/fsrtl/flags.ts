/** The flags of a notify structure. Caller holds the notify lock. */
import { read16, write16 } from '../mm/access.ts'
import { Change } from './layouts.ts'

export const flagsOf = (change: number): number => read16(change + Change.Flags)
export const hasFlag = (change: number, flag: number): boolean => (flagsOf(change) & flag) !== 0
export const setFlag = (change: number, flag: number): void => write16(change + Change.Flags, flagsOf(change) | flag)
export const clearFlag = (change: number, flag: number): void => write16(change + Change.Flags, flagsOf(change) & ~flag)
