import { execFileSync } from 'node:child_process'
import { expect, test } from 'vitest'

test('structs work where code from strings is forbidden', () => {
  const program = `
    import { useMemory, viewMemory } from './kernel/mm/memory.ts'
    import { array, atomic, struct, ULONG } from './kernel/rtl/struct.ts'
    useMemory(viewMemory(new SharedArrayBuffer(1 << 17)))
    const S = struct('S', { n: ULONG, a: array(ULONG, 2), s: atomic(ULONG) })
    const s = new S(0x10000)
    s.n += 2
    s.a[1] = 3
    s.s.add(4)
    console.log(s)`
  const printed = execFileSync(
    process.execPath,
    ['--disallow-code-generation-from-strings', '--input-type=module', '--eval', program],
    { cwd: new URL('../../..', import.meta.url), encoding: 'utf8' },
  )
  expect(printed).toBe('S @0x00010000 { n: 2, a: [0, 3], s: 4 }\n')
})
