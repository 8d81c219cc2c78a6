/** `dirql run FILE`: boots a system of the user's own, whose options are the file's default export. */
import { spawn } from 'node:child_process'
import { existsSync, watch as watchFiles } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { boot, type BootOptions, type Machine, UsageError } from '../../machine/index.ts'
import { ExitCode } from '../exitcodes.ts'
import { Interruption } from '../interrupted.ts'

interface SystemFile {
  default?: BootOptions
  /** Runs on the machine; when it ends, the machine is shut down. Its result may be an exit code. */
  main?: (machine: Machine) => Promise<number | undefined>
}

export async function run(file: string, isWatching: boolean): Promise<number> {
  const path = resolve(file)
  if (!existsSync(path)) throw new UsageError(`there is no file ${path}`)
  if (isWatching) return watchAndRun(path)
  using interruption = new Interruption()
  const system = (await import(pathToFileURL(path).href)) as SystemFile
  if (typeof system.default !== 'object' || system.default === null) {
    throw new UsageError(`${path} has no default export; it must be boot's options: export default { boards, drivers }`)
  }
  await using machine = await boot(system.default)
  if (system.main === undefined) process.stderr.write('running; Ctrl-C ends it\n')
  const result = await Promise.race([
    interruption.happened,
    ...(system.main === undefined ? [] : [system.main(machine)]),
  ])
  return result ?? ExitCode.Held
}

/** Waits this long for the rest of what an editor writes. */
const SETTLE_MS = 100

/** Edited code needs a new process: ids of routines are never used again. */
async function watchAndRun(path: string): Promise<number> {
  const cli = fileURLToPath(import.meta.url).replace(/commands[/\\]run(?=\.[jt]s$)/, 'dirql')
  const start = () => spawn(process.execPath, [cli, 'run', path], { stdio: 'inherit' })
  let child = start()
  let settling: NodeJS.Timeout | undefined
  const again = async (): Promise<void> => {
    if (child.exitCode === null) {
      const ended = new Promise((done) => child.once('exit', done))
      child.kill('SIGINT')
      await ended
    }
    process.stderr.write(`\n${new Date().toLocaleTimeString()} changed: again\n`)
    child = start()
  }
  const watcher = watchFiles(dirname(path), { recursive: true }, (_event, name) => {
    if (name === null || name.includes('node_modules') || !/\.(?:[cm]?[jt]s|json)$/.test(name)) return
    clearTimeout(settling)
    settling = setTimeout(() => void again(), SETTLE_MS)
  })
  using interruption = new Interruption()
  await interruption.happened
  watcher.close()
  clearTimeout(settling)
  child.kill('SIGINT')
  return ExitCode.Held
}
