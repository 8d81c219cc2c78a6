import { describe, test } from 'vitest'
import { linkContract } from './contract.ts'
import { pipeKind, ptyKind, serialKind, streamKind } from './ends.ts'

const KINDS = {
  'the in-process pipe': pipeKind,
  'serialport on a terminal': serialKind,
  'the stream of serialport on a terminal': streamKind,
  'a board at a terminal': ptyKind,
}

describe.each(Object.entries(KINDS))('%s', (_name, kind) => {
  for (const { title, needsUnplug, run } of linkContract) {
    const isSkipped = needsUnplug && kind.noUnplug !== null
    test.skipIf(isSkipped)(`${title}${isSkipped ? ` (skipped: ${kind.noUnplug})` : ''}`, () => run(kind))
  }
})
