#!/usr/bin/env node
/**
 * The dirql command. Each subcommand's code is loaded when it is called: `dirql --version` costs little more than Node.
 *
 * Exit codes: 0 held, 1 something lost or mixed, 2 usage, 3 no board or no permission, 70 bug check.
 */
import { readFileSync } from 'node:fs'
import { setFlagsFromString } from 'node:v8'
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander'
import { ExitCode, exitCodeOf } from './exitcodes.ts'
import { V8_OPTION } from './v8.ts'

function integer(least: number, most: number): (text: string) => number {
  return (text) => {
    const number = Number(text)
    if (text.trim() !== '' && Number.isInteger(number) && number >= least && number <= most) return number
    throw new InvalidArgumentError(`It must be an integer from ${least} to ${most}.`)
  }
}

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }
const program = new Command('dirql')
  .description('Windows-driver-model drivers in TypeScript, against real boards and simulated ones.')
  .version(version)
  .exitOverride()
  .hook('preAction', () => setFlagsFromString(V8_OPTION))
  .showHelpAfterError('(--help tells what there is)')
  .addHelpText(
    'after',
    '\nExit codes: 0 held, 1 something lost or mixed, 2 usage, 3 no board or no permission, 70 bug check',
  )

program
  .command('demo')
  .summary('the main job: two drivers on one bus of an emulated board, for ten seconds (npm start)')
  .addOption(new Option('--seconds <n>', 'how long').argParser(integer(1, 86_400)).default(10))
  .addOption(new Option('--processors <n>', 'processors of the machine').argParser(integer(1, 32)).default(2))
  .addOption(new Option('--board <name>', 'the board').default('arduino-uno'))
  .addOption(new Option('--port <path>', 'a real board, or a PTY, instead of the emulated one'))
  .option('--virtual', 'on virtual time: two runs with one seed are the same', false)
  .addOption(new Option('--seed <n>', 'seed of all that is random').argParser(integer(0, 0xffffffff)).default(1))
  .option('--without-event', 'one driver does not wait for the bus event: transactions are mixed', false)
  .option('--json', 'nothing but one JSON object at the end', false)
  .action(async (options) => {
    const { demo } = await import('./commands/demo.ts')
    process.exitCode = await demo(options)
  })

program
  .command('list')
  .summary('attached boards and ports: recognised or not, why, with their lines')
  .option('--json', 'one JSON object', false)
  .action(async ({ json }: { json: boolean }) => {
    const { list } = await import('./commands/list.ts')
    process.exitCode = await list(json)
  })

program
  .command('board')
  .summary('tests the board at a port with its drivers, and prints a report for an issue (npm run board)')
  .addOption(new Option('--port <path>', 'where it is; without one: what is attached is listed'))
  .addOption(new Option('--board <name>', 'what it is').default('arduino-uno'))
  .addOption(new Option('--processors <n>', 'processors of the machine').argParser(integer(1, 32)).default(2))
  .option('--json', 'nothing but one JSON object', false)
  .action(async (options) => {
    const { board } = await import('./commands/board.ts')
    process.exitCode = await board(options)
  })

program
  .command('run')
  .summary("boots a system of your own: the file's default export is boot's options")
  .argument('<file>', 'a TypeScript or JavaScript module')
  .option('--watch', 'again whenever a file beside it changes', false)
  .action(async (file: string, { watch }: { watch: boolean }) => {
    const { run } = await import('./commands/run.ts')
    process.exitCode = await run(file, watch)
  })

program
  .command('watch')
  .summary('lines, interrupts and latency of a port or HID device, with no driver written')
  .argument('<port>', 'a path: /dev/ttyACM0, COM3, /dev/hidraw0')
  .addOption(new Option('--seconds <n>', 'how long; default: until Ctrl-C').argParser(integer(1, 86_400)))
  .action(async (port: string, options) => {
    const { watch } = await import('./commands/watch.ts')
    process.exitCode = await watch(port, options)
  })

program
  .command('monitor')
  .summary('the wire of a port, decoded live')
  .argument('<port>', 'a path: /dev/ttyACM0, COM3')
  .addOption(new Option('--baud <n>', 'baud rate').argParser(integer(50, 4_000_000)).default(115_200))
  .addOption(new Option('--seconds <n>', 'how long; default: until Ctrl-C').argParser(integer(1, 86_400)))
  .action(async (port: string, options) => {
    const { monitor } = await import('./commands/monitor.ts')
    process.exitCode = await monitor(port, options)
  })

const made = program.command('new').summary('begins something of your own')
made
  .command('driver')
  .summary('a driver with its test')
  .argument('<name>', 'lower case letters, digits and hyphens')
  .action(async (name: string) => {
    const { newDriver } = await import('./commands/new.ts')
    newDriver(name)
  })

program
  .command('sim')
  .summary('a simulated board for any program, on a PTY or as a virtual USB device')
  .argument('<board>', 'arduino-uno, button …')
  .addOption(new Option('--pty [link]', 'on a PTY; a symbolic link to it is made at this path').conflicts('usb'))
  .option('--usb', 'as a virtual USB device (Linux with vhci-hcd, as root)', false)
  .addOption(new Option('--seconds <n>', 'how long; default: until Ctrl-C').argParser(integer(1, 86_400)))
  .action(async (board: string, options) => {
    const { sim } = await import('./commands/sim.ts')
    process.exitCode = await sim(board, options)
  })

program
  .command('doctor')
  .summary('permissions, groups, udev rules, ModemManager, libusb: what is in the way, and what to do')
  .option('--json', 'one JSON object', false)
  .action(async ({ json }: { json: boolean }) => {
    const { doctor } = await import('./commands/doctor.ts')
    process.exitCode = await doctor(json)
  })

program
  .command('explain')
  .summary('a bug check or a status: what rule, how to fix')
  .argument('<code>', 'a name or a number: 0xB8, IRQL_NOT_LESS_OR_EQUAL, 0xC000000E')
  .action(async (code: string) => {
    const { explain } = await import('./commands/explain.ts')
    process.stdout.write(`${explain(code)}\n`)
  })

// `dirql monitor … | head` ends when head does
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(ExitCode.Held)
  throw error
})

try {
  await program.parseAsync()
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? ExitCode.Held : ExitCode.Usage
  } else {
    process.stderr.write(`dirql: ${error instanceof Error ? error.message : String(error)}\n`)
    process.exitCode = exitCodeOf(error)
  }
}
