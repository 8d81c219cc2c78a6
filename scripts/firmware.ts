// node scripts/firmware.ts [--write] [--library FOLDER]: builds the firmware of boards/arduino-uno and compares it, byte for
// byte, with the images in the tree; --write puts them there, --library makes an Arduino library of it in FOLDER.

import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const folder = fileURLToPath(new URL('../boards/arduino-uno/firmware', import.meta.url))

/** Other versions make other bytes: Debian 12 has this one. */
const COMPILER = '5.4.0'
const IMAGES = [
  { image: 'uno.hex', baud: 115_200 },
  { image: 'uno-1m.hex', baud: 1_000_000 },
]

const FLASH = 32_768 - 512 // the boot loader has the rest
const RAM = 2048
/** The deepest calls with an interrupt on top of them were seen to use 135; a test looks. */
const STACK = 192

/** Nothing of the place or the time of the build goes into it: no paths, no dates, and files in the order of their names. */
const FLAGS = ['-mmcu=atmega328p', '-DF_CPU=16000000UL', '-DBRIDGE_LINES=6', '-DBRIDGE_DEVICES=3']
  .concat(['-std=c99', '-Wall', '-Wextra', '-Werror', '-Os', '-g0', '-fno-ident', '-frandom-seed=dirql'])
  .concat(['-ffunction-sections', '-fdata-sections', '-Wl,--gc-sections', '-flto', '-flto-partition=one'])

const run = (program: string, args: readonly string[]): string =>
  execFileSync(program, args, { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })

/** The cross compiler's version, or null where there is none. */
function compilerVersion(): string | null {
  try {
    return run('avr-gcc', ['-dumpversion']).trim()
  } catch {
    return null
  }
}

function sourcesOf(part: string): string[] {
  const files = readdirSync(join(folder, part)).filter((file) => file.endsWith('.c'))
  return files.sort().map((file) => `${part}/${file}`)
}

/** The program as Intel HEX, and what it takes. */
function build(baud: number): { hex: string; flash: number; ram: number } {
  const scratch = mkdtempSync(join(tmpdir(), 'dirql-firmware-'))
  try {
    const elf = join(scratch, 'uno.elf')
    const hex = join(scratch, 'uno.hex')
    run('avr-gcc', [...FLAGS, `-DBAUD=${baud}UL`, ...sourcesOf('avr'), ...sourcesOf('core'), '-o', elf])
    run('avr-objcopy', ['-O', 'ihex', '-R', '.eeprom', elf, hex])
    const [, text, data, bss] = /^\s*(\d+)\s+(\d+)\s+(\d+)/m.exec(run('avr-size', [elf]))?.map(Number) ?? []
    if (text === undefined || data === undefined || bss === undefined) throw new Error('avr-size says nothing')
    return { hex: readFileSync(hex, 'latin1').replaceAll('\r\n', '\n'), flash: text + data, ram: data + bss }
  } finally {
    rmSync(scratch, { recursive: true })
  }
}

/** Puts the core, and what an Arduino needs around it, where the Arduino IDE looks for a library. */
function makeLibrary(target: string): void {
  cpSync(join(folder, 'arduino'), target, { recursive: true })
  mkdirSync(join(target, 'src'), { recursive: true })
  for (const file of LIBRARY_FILES) cpSync(join(folder, 'core', file), join(target, 'src', file))
}
const LIBRARY_FILES = [
  'bridge.c',
  'bridge.h',
  'fields.c',
  'fields.h',
  'flash.h',
  'inbox.c',
  'inbox.h',
  'outbox.c',
  'outbox.h',
]

function fail(message: string): void {
  console.error(`firmware: ${message}`)
  process.exitCode = 1
}

function checkOrWrite(isWriting: boolean): void {
  const version = compilerVersion()
  if (version !== COMPILER) {
    const why =
      version === null ? 'there is no avr-gcc (Debian: gcc-avr avr-libc binutils-avr)' : `avr-gcc is ${version}`
    if (process.env['CI'] || isWriting) fail(`${why}; the images are built with ${COMPILER}`)
    else console.log(`firmware: not compared: ${why}, and the images are built with ${COMPILER}`)
    return
  }
  for (const { image, baud } of IMAGES) {
    const { hex, flash, ram } = build(baud)
    const path = join(folder, image)
    const left = RAM - ram
    console.log(
      `${image}: ${flash} of ${FLASH} bytes of flash, ${ram} of ${RAM} of RAM, ${left} left for the stack (at least ${STACK} wanted)`,
    )
    if (flash > FLASH || left < STACK) fail(`${image} does not fit`)
    if (isWriting) writeFileSync(path, hex)
    else if (readFileSync(path, 'latin1') !== hex)
      fail(`${image} is not what its sources make: node scripts/firmware.ts --write`)
  }
}

const args = process.argv.slice(2)
const library = args.indexOf('--library')
if (library >= 0 && args[library + 1] !== undefined) makeLibrary(args[library + 1] as string)
else checkOrWrite(args.includes('--write'))
