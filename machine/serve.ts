/** A simulated board at a link: its bytes go out there, and what comes from there goes in. */
import type { Link, LinkEvents } from '../hal/links/link.ts'

/** A board that talks in bytes: an emulated one, or a model behind its end of the bridge. */
export interface ByteBoard {
  /** Bytes from the host. */
  write(bytes: Uint8Array): void
  /** Told of bytes from the board. */
  onData: (bytes: Uint8Array) => void
}

export interface Served {
  readonly link: Link
  /** Bytes that nobody took, as an adapter drops them when no program reads. */
  readonly lost: number
}

/** What a board may have sent ahead of its reader. */
const MOST_UNSENT = 64 * 1024

/**
 * Serves `board` on the link that `open` makes: a PTY, or one end of a pipe. `closed` is told once, when the link is;
 * from then on what the board says goes nowhere.
 */
export async function serveOnLink(
  board: ByteBoard,
  open: (events: LinkEvents) => Link | Promise<Link>,
  closed: (reason: string | null) => void = () => {},
): Promise<Served> {
  let isClosed = false
  const link = await open({
    data: (bytes) => board.write(bytes),
    closed(reason) {
      isClosed = true
      closed(reason)
    },
  })
  const served = { link, lost: 0 }
  board.onData = (bytes) => {
    if (isClosed) return
    if (link.unsent + bytes.length > MOST_UNSENT) served.lost += bytes.length
    else link.write(bytes)
  }
  return served
}
