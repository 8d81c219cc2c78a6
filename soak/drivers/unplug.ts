/** System calls on a processor of one's choice: a program's own all run on processor 0. */
import { type SystemCall, type SystemReply, systemCall } from '../../machine/userservice.ts'

/** A call, and the number that cancels it. */
export interface Called {
  request: SystemCall
  token: number
}

/** Serves a call of the System process on this processor. @irql PASSIVE_LEVEL */
export function call({ request, token }: Called): Promise<SystemReply> {
  return systemCall(0, request, token)
}
