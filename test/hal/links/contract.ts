/** What every link keeps to, whatever carries its bytes. Runs under vitest, and in a process of its own (mocked.ts). */
import assert from 'node:assert/strict'
import { type Link, LinkError, type LinkEvents } from '../../../hal/links/link.ts'
import { sleepMs } from '../../../hal/timers.ts'

/** The other end, as a test needs it. */
export interface FarEnd {
  send(bytes: Uint8Array): void | Promise<void>
  /** Everything that came so far. */
  received(): Uint8Array | Promise<Uint8Array>
  /** Pulls the device out. */
  unplug(): Promise<void>
}

export interface Attachment {
  far: FarEnd
  open(events: LinkEvents): Promise<Link>
  /** Ends what is left: also after a test that failed half-way. */
  dispose(): Promise<void>
}

export interface LinkKind {
  /** Bytes of a report; null where bytes flow in a stream. */
  report: number | null
  /** Why the far end cannot be pulled out of this kind; null if it can. */
  noUnplug: string | null
  attach(): Promise<Attachment>
}

export interface Case {
  title: string
  needsUnplug: boolean
  run: (kind: LinkKind) => Promise<void>
}

/** Everything that a link told. */
class Told implements LinkEvents {
  readonly parts: Uint8Array[] = []
  readonly ends: (string | null)[] = []
  /** Bytes of all parts. */
  length = 0
  sends = 0
  onData: (bytes: Uint8Array) => void = () => {}

  readonly data = (bytes: Uint8Array): void => {
    assert.equal(this.ends.length, 0, 'data after closed')
    this.parts.push(bytes)
    this.length += bytes.length
    this.onData(bytes)
  }
  readonly closed = (reason: string | null): void => {
    this.ends.push(reason)
  }
  readonly sent = (): void => {
    this.sends += 1
  }
  get bytes(): Uint8Array {
    return Buffer.concat(this.parts)
  }
}

/** Longer in an emulated machine. */
const LONGEST_MS = Number(process.env['LINK_PATIENCE_MS'] ?? 10_000)
const MUCH_BYTES = Number(process.env['LINK_MUCH_BYTES'] ?? 400_000)

/** Waits for what must come; nothing is measured. */
export async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const last = performance.now() + LONGEST_MS
  while (!(await holds())) {
    if (performance.now() > last) assert.fail(`never: ${what}`)
    await sleepMs(1)
  }
}

/** `length` bytes that differ from place to place. */
function pattern(length: number, seed = 0): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => (index * 31 + (index >> 8) * 7 + seed) & 0xff)
}

/** Cuts `bytes` into reports, or leaves them whole. */
function messages({ report }: LinkKind, bytes: Uint8Array): Uint8Array[] {
  if (report === null) return [bytes]
  return Array.from({ length: bytes.length / report }, (_, index) =>
    bytes.subarray(index * report, (index + 1) * report),
  )
}

const allValues = ({ report }: LinkKind): Uint8Array =>
  Uint8Array.from({ length: Math.max(256, report ?? 0) }, (_, at) => at & 0xff)
/** More than any buffer on the way holds, or some more reports than would fit one read. */
const muchData = ({ report }: LinkKind): Uint8Array => pattern(report === null ? MUCH_BYTES : report * 30)

const isSame = (left: Uint8Array, right: Uint8Array): boolean => Buffer.compare(left, right) === 0

interface Bench extends Attachment {
  kind: LinkKind
  told: Told
  link: Link
}

async function onLink(kind: LinkKind, body: (bench: Bench) => Promise<void>): Promise<void> {
  const attachment = await kind.attach()
  const told = new Told()
  try {
    const link = await attachment.open(told)
    try {
      await body({ ...attachment, kind, told, link })
    } finally {
      await link.close()
    }
    assert.equal(told.ends.length, 1, 'closed is told exactly once')
  } finally {
    await attachment.dispose()
  }
}

const isClosedError = (error: unknown): boolean => error instanceof LinkError && error.code === 'closed'

async function arrives({ told }: Bench, bytes: Uint8Array): Promise<void> {
  await until(`${bytes.length} bytes at the link`, () => told.length >= bytes.length)
  assert.ok(isSame(told.bytes, bytes), 'other bytes, or in another order')
}

async function reaches({ far }: Bench, bytes: Uint8Array): Promise<void> {
  await until(`${bytes.length} bytes at the far end`, async () => (await far.received()).length >= bytes.length)
  assert.ok(isSame(await far.received(), bytes), 'other bytes, or in another order')
}

const cases: Record<string, (bench: Bench) => Promise<void>> = {
  'all byte values arrive in order, both ways': async (bench) => {
    const bytes = allValues(bench.kind)
    for (const message of messages(bench.kind, bytes)) {
      bench.link.write(message)
      await bench.far.send(message)
    }
    await reaches(bench, bytes)
    await arrives(bench, bytes)
  },
  'what is written in many pieces arrives in order': async (bench) => {
    const size = bench.kind.report ?? 7
    const bytes = pattern(size * 100)
    for (let at = 0; at < bytes.length; at += size) bench.link.write(bytes.subarray(at, at + size))
    await reaches(bench, bytes)
  },
  'one data is one report, where the link has reports': async (bench) => {
    const { report } = bench.kind
    if (report === null) return
    const bytes = pattern(report * 20)
    for (const message of messages(bench.kind, bytes)) await bench.far.send(message)
    await arrives(bench, bytes)
    assert.deepEqual(new Set(bench.told.parts.map(({ length }) => length)), new Set([report]))
  },
  'a big write arrives whole, and then nothing is unsent': async (bench) => {
    const bytes = muchData(bench.kind)
    for (const message of messages(bench.kind, bytes)) bench.link.write(message)
    assert.equal(bench.link.unsent, bytes.length)
    await reaches(bench, bytes)
    await until('nothing is unsent', () => bench.link.unsent === 0)
    assert.ok(bench.told.sends > 0, 'sent was told')
  },
  'the writer may use its buffer again at once': async (bench) => {
    const bytes = pattern(bench.kind.report ?? 1000)
    const buffer = Uint8Array.from(bytes)
    bench.link.write(buffer)
    buffer.fill(0)
    await reaches(bench, bytes)
  },
  'a paused link tells no data, and loses none': async (bench) => {
    const bytes = muchData(bench.kind)
    bench.link.pause()
    for (const message of messages(bench.kind, bytes)) await bench.far.send(message)
    await sleepMs(60)
    assert.equal(bench.told.parts.length, 0)
    bench.link.resume()
    await arrives(bench, bytes)
  },
  'a link may be paused and resumed at any data': async (bench) => {
    const bytes = muchData(bench.kind)
    bench.told.onData = () => {
      bench.link.pause()
      const count = bench.told.parts.length
      setTimeout(() => {
        assert.equal(bench.told.parts.length, count, 'data while paused')
        bench.link.resume()
      }, 1)
    }
    for (const message of messages(bench.kind, bytes)) await bench.far.send(message)
    await arrives(bench, bytes)
  },
  'data may be answered from within its call': async (bench) => {
    const bytes = pattern(bench.kind.report ?? 64)
    bench.told.onData = (data) => bench.link.write(data)
    await bench.far.send(bytes)
    await reaches(bench, bytes)
  },
  'data, closed and sent are never told from within a call': async ({ link, told }) => {
    const before = told.sends
    link.write(pattern(64))
    link.pause()
    link.resume()
    const closing = link.close()
    assert.deepEqual([told.sends, told.ends, told.parts], [before, [], []])
    await closing
  },
  'close twice is closed once, with no reason': async ({ link, told }) => {
    await Promise.all([link.close(), link.close()])
    await link.close()
    assert.deepEqual(told.ends, [null])
  },
  'a write after close fails at once': async ({ link }) => {
    const closing = link.close()
    assert.throws(() => link.write(pattern(64)), isClosedError)
    await closing
    assert.throws(() => link.write(pattern(64)), isClosedError)
  },
  'pause and resume after close do nothing': async ({ link, told }) => {
    await link.close()
    link.pause()
    link.resume()
    assert.deepEqual(told.ends, [null])
  },
  'a link that was closed can be opened again': async (bench) => {
    await bench.link.close()
    const told = new Told()
    const again = await bench.open(told)
    const bytes = pattern(bench.kind.report ?? 100)
    await bench.far.send(bytes)
    await arrives({ ...bench, told }, bytes)
    await again.close()
    assert.deepEqual([bench.told.ends, told.ends], [[null], [null]])
  },
}

const unplugCases: Record<string, (bench: Bench) => Promise<void>> = {
  'an unplug is told once, with its reason': async ({ far, told, link }) => {
    await far.unplug()
    await until('closed', () => told.ends.length > 0)
    assert.equal(typeof told.ends[0], 'string')
    await link.close()
    assert.equal(told.ends.length, 1)
  },
  'a write after an unplug fails at once, and says why': async ({ far, told, link }) => {
    await far.unplug()
    await until('closed', () => told.ends.length > 0)
    assert.throws(
      () => link.write(pattern(64)),
      (error) => isClosedError(error) && /unplugged|failed/.test((error as Error).message),
    )
  },
  'an unplug in the middle of a big write is told once': async ({ kind, far, told, link }) => {
    for (let round = 0; round < 4; round++) for (const message of messages(kind, muchData(kind))) link.write(message)
    await far.unplug()
    await until('closed', () => told.ends.length > 0)
    assert.equal(link.unsent, 0)
    assert.throws(() => link.write(pattern(64)), isClosedError)
  },
  'an unplug while data comes is told after the data': async ({ kind, far, told, link }) => {
    const bytes = muchData(kind)
    const sending = messages(kind, bytes).map(async (message) => await far.send(message))
    await until('some data', () => told.parts.length > 0)
    await far.unplug()
    await Promise.allSettled(sending)
    await until('closed', () => told.ends.length > 0)
    assert.ok(isSame(told.bytes, bytes.subarray(0, told.bytes.length)), 'what came is the beginning of what was sent')
    await link.close()
  },
  'an unplug is noticed by a link that is paused': async ({ kind, far, told, link }) => {
    link.pause()
    for (const message of messages(kind, muchData(kind))) void far.send(message)
    await sleepMs(20)
    await far.unplug()
    await until('closed', () => told.ends.length > 0)
    assert.equal(told.parts.length, 0)
  },
}

const toCases = (bodies: typeof cases, needsUnplug: boolean): Case[] =>
  Object.entries(bodies).map(([title, body]) => ({ title, needsUnplug, run: (kind) => onLink(kind, body) }))

export const linkContract: Case[] = [...toCases(cases, false), ...toCases(unplugCases, true)]
