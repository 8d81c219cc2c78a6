import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { execFile } from 'node:child_process'
import { afterAll, describe, expect, test } from 'vitest'
import { BUG_CHECKS } from '../../cli/explanations.ts'
import { BugCode } from '../../kernel/ke/bugcodes.ts'
import { run, start } from './run.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'dirql-cli-'))
afterAll(() => rmSync(folder, { recursive: true }))

test('dirql --version tells the version of the package', async () => {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }
  expect(await run('--version')).toMatchObject({ code: 0, stdout: `${version}\n` })
})

const COMMANDS = ['demo', 'list', 'run', 'watch', 'monitor', 'new', 'sim', 'doctor', 'explain']

test.each(COMMANDS)('dirql %s --help tells its usage', async (command) => {
  const { code, stdout } = await run(command, '--help')
  expect(code).toBe(0)
  expect(stdout).toMatch(new RegExp(`^Usage: dirql ${command}`))
})

describe('dirql, called wrongly, exits with 2 and says', () => {
  const WRONG: [string[], string][] = [
    [['nope'], "unknown command 'nope'"],
    [['demo', '--seconds', 'long'], "'long' is invalid. It must be an integer from 1 to 86400."],
    [['demo', '--processors', '0'], 'It must be an integer from 1 to 32.'],
    [['explain'], "missing required argument 'code'"],
    [['explain', 'FOO'], "'FOO' is neither a bug check nor a status that dirql knows"],
    [['run', 'nothing.ts'], 'there is no file'],
    [['sim', 'teapot'], "no firmware runs for 'teapot'"],
    [['new', 'driver', 'Bad Name'], "'Bad Name' cannot be a driver's name"],
  ]
  test.each(WRONG)('%j: %s', async (args, message) => {
    const { code, stderr } = await run(...args)
    expect(stderr).toContain(message)
    expect(code).toBe(2)
  })
})

describe('dirql explain', () => {
  test('tells rule and remedy of a bug check, by name or number', async () => {
    const { stdout } = await run('explain', '0xB8')
    expect(stdout).toContain('bug check 0xB8 ATTEMPTED_SWITCH_FROM_DPC')
    expect(stdout).toMatch(/rule: .+\n {2}fix: +.+/)
    expect((await run('explain', 'ATTEMPTED_SWITCH_FROM_DPC')).stdout).toBe(stdout)
  })

  test('tells the name and severity of a status', async () => {
    const { stdout } = await run('explain', '0xC000000E')
    expect(stdout).toContain('status 0xC000000E STATUS_NO_SUCH_DEVICE\n  severity: error; not NT_SUCCESS')
  })

  test('knows every bug check that the kernel has', () => {
    expect(Object.keys(BUG_CHECKS).sort()).toEqual(Object.keys(BugCode).sort())
  })
})

test('dirql doctor --json tells each check, its state and the remedy', async () => {
  const { stdout } = await run('doctor', '--json')
  const { findings } = JSON.parse(stdout) as { findings: { check: string; state: string; remedy: string }[] }
  expect(findings.map(({ check }) => check)).toEqual(expect.arrayContaining(['Node', 'ModemManager', 'virtual USB']))
  for (const { state, remedy } of findings) if (state === 'problem') expect(remedy).not.toBe('')
})

test('dirql list --json tells each device, and why it is recognised or not', async () => {
  const { stdout } = await run('list', '--json')
  const { devices, problems } = JSON.parse(stdout) as { devices: { path: string; why: string }[]; problems: string[] }
  for (const { path, why } of devices) expect(path && why).not.toBe('')
  expect(Array.isArray(problems)).toBe(true)
})

test('dirql new driver makes a driver whose test passes', async () => {
  const project = join(folder, 'project')
  mkdirSync(join(project, 'node_modules'), { recursive: true })
  writeFileSync(join(project, 'package.json'), '{ "type": "module" }')
  symlinkSync(root, join(project, 'node_modules/dirql'), 'junction')
  symlinkSync(join(root, 'node_modules/vitest'), join(project, 'node_modules/vitest'), 'junction')
  const made = await start(['new', 'driver', 'my-thing'], { cwd: project }).ended
  expect(made.code).toBe(0)
  const vitest = join(root, 'node_modules/vitest/vitest.mjs')
  const { stdout } = await promisify(execFile)(process.execPath, [vitest, 'run'], { cwd: project })
  expect(stdout).toMatch(/1 passed/)
})

describe('dirql run', () => {
  const write = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text)
    return join(folder, name)
  }

  test("boots the file's options and runs its main", async () => {
    const file = write(
      'main.ts',
      `export default { boards: [{ board: 'button' }], drivers: [${JSON.stringify(join(root, 'drivers/button/index.ts'))}] }
       export async function main(machine) {
         await using file = await machine.open('Button-0')
         machine.board('button-0').press()
         console.log(new TextDecoder().decode(await file.read(64)))
         return 0
       }`,
    )
    const { code, stdout } = await run('run', file)
    expect(stdout).toMatch(/^press 1 at \d+ us\n$/)
    expect(code).toBe(0)
  })

  test('shuts the machine down at Ctrl-C', async () => {
    const running = start(['run', write('system.ts', 'console.log("loaded"); export default { processors: 2 }')])
    await running.says('loaded')
    running.interrupt()
    expect((await running.ended).code).toBe(0)
  })

  test('exits with 70 at a bug check, and says what and where', async () => {
    const crash = join(root, 'test/machine/drivers/faults/mistakes.ts')
    const file = write(
      'crash.ts',
      `export default {}
       export const main = (machine) => machine.run(${JSON.stringify(crash)}, 'isr')`,
    )
    const { code, stderr } = await run('run', file)
    expect(stderr).toContain('KMODE_EXCEPTION_NOT_HANDLED (0x1E)')
    expect(code).toBe(70)
  })

  test('without a default export says what it must be', async () => {
    const { code, stderr } = await run('run', write('empty.ts', 'export {}'))
    expect(stderr).toContain("has no default export; it must be boot's options")
    expect(code).toBe(2)
  })
})
