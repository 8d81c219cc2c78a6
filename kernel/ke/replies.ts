/**
 * Questions to a board that a thread waits for: a flush of the posted writes, a fresh read of a register.
 *
 * The question is an entry of the board's ring and carries the address of a REPLY. Whoever serves the board, on a
 * thread that need be no processor, writes the answer into the REPLY and puts it on one list (`answerReply`); a
 * processor takes the list and sets the events. The asker frees the REPLY, so it must be answered exactly once.
 */
import { atomicExchange, read32, write32 } from '../mm/access.ts'
import { allocate, free } from '../mm/pool.ts'
import { Reply } from '../ports/device.ts'
import { assertLayout, LONG, NTSTATUS as STATUS, struct, ULONG } from '../rtl/struct.ts'
import { type NTSTATUS, STATUS_INSUFFICIENT_RESOURCES } from '../rtl/status.ts'
import { initializeEvent, setEvent, SynchronizationEvent } from './event.ts'
import { KEVENT } from './layouts.ts'
import { Machine } from './pcr.ts'
import { waitForObject } from './wait.ts'

/** The HAL's until it is answered, the asker's from then on. */
const REPLY = struct('REPLY', { Next: ULONG, Status: STATUS, Value: LONG, Event: KEVENT })
assertLayout(REPLY, Reply)

const TAG = 'KeRp'

/** Puts a question with `put` and waits for its answer. @irql PASSIVE_LEVEL */
export async function askBoard(put: (token: number) => void): Promise<{ status: NTSTATUS; value: number }> {
  const reply = allocate(REPLY.size, TAG)
  if (reply === 0) return { status: STATUS_INSUFFICIENT_RESOURCES, value: 0 }
  initializeEvent(reply + Reply.Event, SynchronizationEvent, false)
  put(reply)
  await waitForObject(reply + Reply.Event)
  const answer = { status: read32(reply + Reply.Status), value: read32(reply + Reply.Value) }
  free(reply, TAG)
  return answer
}

/** Wakes those whose question was answered. */
export function takeReplies(): void {
  if (read32(Machine.Replies) === 0) return
  let reply = atomicExchange(Machine.Replies, 0)
  while (reply !== 0) {
    const next = read32(reply + Reply.Next) // before the event is set: the asker frees the REPLY
    write32(reply + Reply.Next, 0)
    setEvent(reply + Reply.Event)
    reply = next
  }
}
