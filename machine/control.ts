/**
 * Hands for a simulated board of another process: a Unix socket beside its path, one JSON object a line each way. Each
 * request is answered with `{}`, with what was asked for, or with `{ "error": … }`.
 */
import { existsSync, unlinkSync } from 'node:fs'
import { createConnection, createServer, type Socket } from 'node:net'
import { createInterface } from 'node:readline'

/** What a simulated board lets be done to it. */
export interface ControlledBoard {
  press(pin: string): void
  release(pin: string): void
  set(sensor: string, value: number): void
  reset(): void
  report(): Promise<object>
}

interface Request {
  do?: unknown
  pin?: unknown
  sensor?: unknown
  value?: unknown
}

export const controlPath = (path: string): string => `${path}.control`

/** Serves the hands of `board`, whose device is at `path`. */
export async function serveControl(
  path: string,
  board: ControlledBoard,
): Promise<{ path: string; close(): Promise<void> }> {
  const at = controlPath(path)
  if (existsSync(at)) unlinkSync(at) // of a simulation that was killed
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => {}) // whoever asked is gone
    createInterface({ input: socket }).on('line', (line) => {
      void answer(board, line).then((reply) => socket.writable && socket.write(`${JSON.stringify(reply)}\n`))
    })
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(at, resolve)
  })
  return {
    path: at,
    close: () => {
      for (const socket of sockets) socket.destroy()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
}

async function answer(board: ControlledBoard, line: string): Promise<object> {
  try {
    const request = JSON.parse(line) as Request
    switch (request.do) {
      case 'press':
        board.press(nameOf(request.pin ?? 'button'))
        return {}
      case 'release':
        board.release(nameOf(request.pin ?? 'button'))
        return {}
      case 'set':
        board.set(nameOf(request.sensor), Number(request.value))
        return {}
      case 'reset':
        board.reset()
        return {}
      case 'report':
        return await board.report()
      default:
        return { error: `"do" is ${JSON.stringify(request.do)}; it must be press, release, set, reset or report` }
    }
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) }
  }
}

function nameOf(value: unknown): string {
  if (typeof value === 'string') return value
  throw new Error(`${JSON.stringify(value)} is no name of a pin or sensor`)
}

/** The hands of the simulated board at `path`; null when nobody serves them: a real board. */
export async function openControl(path: string): Promise<RemoteHands | null> {
  const at = controlPath(path)
  if (!existsSync(at)) return null
  const socket = createConnection(at)
  const isOpen = await new Promise<boolean>((resolve) => {
    socket.once('connect', () => resolve(true))
    socket.once('error', () => resolve(false))
  })
  return isOpen ? new RemoteHands(socket) : null
}

export class RemoteHands {
  readonly #socket: Socket
  readonly #waiting: ((reply: object) => void)[] = []

  constructor(socket: Socket) {
    this.#socket = socket
    socket.on('error', () => this.#end())
    socket.on('close', () => this.#end())
    createInterface({ input: socket }).on('line', (line) => this.#waiting.shift()?.(JSON.parse(line) as object))
  }

  #end(): void {
    for (const reply of this.#waiting.splice(0)) reply({ error: 'the simulated board is gone' })
  }

  #ask(request: Request): Promise<object> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve)
      this.#socket.write(`${JSON.stringify(request)}\n`)
    })
  }

  press(pin: string): void {
    void this.#ask({ do: 'press', pin })
  }

  release(pin: string): void {
    void this.#ask({ do: 'release', pin })
  }

  set(sensor: string, value: number): void {
    void this.#ask({ do: 'set', sensor, value })
  }

  reset(): void {
    void this.#ask({ do: 'reset' })
  }

  async report(): Promise<{ transactions: number; mixedTransactions: number }> {
    const reply = await this.#ask({ do: 'report' })
    if ('error' in reply) throw new Error(String(reply.error))
    return reply as { transactions: number; mixedTransactions: number }
  }

  close(): void {
    this.#socket.end()
  }
}
