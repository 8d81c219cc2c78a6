/** dirql/fltkernel: fltkernel.h. All of dirql/ntifs, and the filter manager's routines. */
export * from './ntifs.ts'

// Push locks of the filter manager.
export {
  FLT_PUSH_LOCK_ENABLE_AUTO_BOOST,
  FLT_PUSH_LOCK_DISABLE_AUTO_BOOST,
  FLT_PUSH_LOCK_VALID_FLAGS,
  FltInitializePushLock,
  FltAcquirePushLockExclusive,
  FltAcquirePushLockShared,
  FltReleasePushLock,
  FltDeletePushLock,
  FltAcquirePushLockExclusiveEx,
  FltAcquirePushLockSharedEx,
  FltReleasePushLockEx,
} from '../kernel/flt/pushlock.ts'

// The release that serves both kinds of push lock.
export { ExfReleasePushLock } from '../kernel/ex/pushlock.ts'
