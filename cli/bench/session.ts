/** Scenarios of the session: hello, registers, lost interrupts, unplug and reset in mid-transfer. */
import { Gpio } from '../../classes/gpio.ts'
import { type Bench, must } from './bench.ts'
import type { Scenario } from './conformance.ts'
import { hex, outcome } from './eeprom.ts'

const QUESTIONS = 50

/** The board has said what it is, and its drivers have started. */
async function hello(bench: Bench): Promise<string> {
  const { board, devices } = bench
  for (const device of devices) await bench.with(device, () => Promise.resolve())
  const lines = board.lines().map(({ device, line }) => `${device}.${line}`)
  return `${board.firmware ?? 'a model'} at ${board.where}; drivers ${devices.join(', ')}; lines ${lines.join(', ')}`
}

/** A register of settings that hurts nobody: which free pins are pulled up. */
async function registers(bench: Bench): Promise<string> {
  const values = Array.from({ length: 16 }, (_, index) => (0b1100 | ((index * 5 + 1) << 4)) & 0xfff)
  const window = bench.board.window(bench.gpio)
  const last = bench.file.devices.find((device) => device.class === 'gpio')?.reset?.['PULLUP'] ?? 0
  const told = (await bench.probe('writeAndAsk', { window, offset: Gpio.PULLUP, values, last })) as number[]
  const expected = [...values, values.at(-1) as number]
  const wrong = expected.findIndex((value, index) => told[index] !== value)
  must(wrong < 0, `wrote 0x${expected[wrong]?.toString(16)} and the board tells 0x${told[wrong]?.toString(16)}`)
  return `${values.length} values written, each told by the board; then ${values.length} at once, and the last is told`
}

/** How long the board takes to answer. */
async function questions(bench: Bench): Promise<string> {
  const window = bench.board.window(bench.gpio)
  const argument = { window, offset: Gpio.INPUT, count: QUESTIONS }
  bench.questionsUs.push(...((await bench.probe('timeQuestions', argument)) as number[]))
  return `${QUESTIONS} questions for a register answered`
}

/** Each interrupt that the board counted was claimed by the driver that it was for. */
async function interrupts(bench: Bench): Promise<string> {
  await bench.sleep(100)
  const has = (device: 'tmp102' | 'at24' | 'gpio'): boolean => bench.devices.includes(device)
  const sensor = has('tmp102') ? await bench.sensorCounts() : { Interrupts: 0, Alerts: 0 }
  const eeprom = has('at24') ? await bench.eepromCounts() : { Interrupts: 0 }
  const pins = has('gpio') ? await bench.pins() : { Edges: 0 }
  const done = bench.totals('done').edges
  must(
    done === sensor.Interrupts + eeprom.Interrupts,
    `the bus told of ${done} transactions, and drivers claimed ${sensor.Interrupts} and ${eeprom.Interrupts}`,
  )
  const edges = bench.totals('pins', 'button').edges
  must(edges === pins.Edges, `the pins told of ${edges} edges, and the driver counted ${pins.Edges}`)
  const alerts = bench.totals('alert').edges
  must(alerts <= sensor.Alerts, `ALERT came ${alerts} times, and the driver served ${sensor.Alerts}`)
  const faults = Object.entries(bench.board.faults()).filter(([, count]) => count > 0)
  must(faults.length === 0, `the board broke the protocol: ${faults.map(([name, n]) => `${name} ${n}`).join(', ')}`)
  return `${bench.totals().frames} interrupts: ${done} transactions, ${edges} edges, ${alerts} alerts, none lost`
}

/** The board is pulled out while requests are under way: they end, and it works when it is back. */
const unplug = (bench: Bench): Promise<string> =>
  interrupted(bench, async () => {
    await bench.pull()
    return () => bench.insert()
  })

/** The same with its reset button. */
const reset = (bench: Bench): Promise<string> =>
  interrupted(bench, async () => {
    await bench.hands?.reset()
    return () => Promise.resolve()
  })

async function interrupted(bench: Bench, happen: () => Promise<() => Promise<void>>): Promise<string> {
  const { devices } = bench
  const files = await Promise.all(devices.map((device) => bench.open(device)))
  const length = { tmp102: 32, at24: 4096, gpio: 64 * 16 }
  await emptied(bench)
  const pending = devices.flatMap((device, index) => {
    const file = files[index]
    return file === undefined || device === 'tmp102' ? [] : [{ device, ended: outcome(file.read(length[device])) }]
  })
  await bench.sleep(12)
  const goOn = await happen()
  const ends: string[] = []
  for (const { device, ended } of pending) {
    const status = await ended
    must(status !== null && status < 0, `a request of ${device} that was under way ended with ${hex(status)}`)
    ends.push(`${device} ${hex(status)}`)
  }
  for (const [index, file] of files.entries()) {
    const status = await outcome(file.read(length[devices[index] as keyof typeof length]))
    must(status !== null && status < 0, `a request to the device that is gone ended with ${hex(status)}`)
    await file.close()
  }
  await goOn()
  await bench.isBack()
  const works = await worksAgain(bench)
  return `requests under way ended (${ends.join(', ')}); ${works}`
}

/** Edges of before would end the read that is to wait. */
async function emptied(bench: Bench): Promise<void> {
  if (!bench.devices.includes('gpio')) return
  await bench.with('gpio', async (file) => {
    for (let isEmpty = false; !isEmpty; ) {
      const controller = new AbortController()
      const reading = outcome(bench.readEdges(file, controller.signal))
      await bench.sleep(10)
      controller.abort()
      isEmpty = (await reading) !== null
    }
  })
}

async function worksAgain(bench: Bench): Promise<string> {
  const { devices } = bench
  const works: string[] = []
  if (devices.includes('tmp102')) {
    await bench.sleep(100) // a sensor without power converts anew
    const told = await bench.temperature()
    must(told >= -55 && told <= 150, `behind it ${told} °C was read`)
    works.push(`${told} °C`)
  }
  if (devices.includes('at24')) {
    const bytes = await bench.with('at24', (file) => file.read(16, { offset: 0 }))
    must(bytes.length === 16, `behind it ${bytes.length} bytes of 16 were read`)
    works.push('16 bytes')
  }
  if (devices.includes('gpio')) works.push(`levels 0x${((await bench.pins()).Levels >>> 0).toString(16)}`)
  await interrupts(bench)
  return `behind it ${works.join(', ')}, no interrupt lost`
}

export const SESSION_SCENARIOS: readonly Scenario[] = [
  { name: 'hello', needs: [], run: hello },
  { name: 'registers', needs: ['gpio'], run: registers },
  { name: 'questions', needs: ['gpio'], run: questions },
  { name: 'interrupts', needs: [], run: interrupts },
  { name: 'unplug', needs: [], run: unplug },
  { name: 'reset', needs: ['hands'], run: reset },
]
