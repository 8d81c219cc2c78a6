/** Scenarios of the temperature sensor: reads, thresholds, a read that is cancelled. */
import { IOCTL_TMP102_SET_THRESHOLDS } from '../../drivers/tmp102/interface.ts'
import { type Bench, type BenchHands, must } from './bench.ts'
import type { Scenario } from './conformance.ts'

/** The sensor converts eight times a second, 26 ms each: what it does is done after so long. */
const SETTLE_MS = 180
const LEAST = -55
const MOST = 150
const PER_DEGREE = 16
/** As after power-up. */
const FAR = { low: 75, high: 80 }

/** Reads what the sensor is exposed to, and without hands what there is. */
async function temperature(bench: Bench): Promise<string> {
  const { hands } = bench
  if (hands === null) {
    const values: number[] = []
    for (let read = 0; read < 20; read++) {
      values.push(await bench.temperature())
      bench.noteLatency()
    }
    const [least, most] = [Math.min(...values), Math.max(...values)]
    must(least >= LEAST && most <= MOST, `${least} to ${most} °C is no temperature`)
    return `20 reads, ${least} to ${most} °C`
  }
  const exposed = [23.5625, -12.25, 0]
  for (const celsius of exposed) {
    await expose(bench, hands, celsius)
    for (let read = 0; read < 5; read++) {
      const told = await bench.temperature()
      bench.noteLatency()
      must(told === celsius, `read ${told} °C where it was ${celsius} °C`)
    }
  }
  return `exposed to ${exposed.join(', ')} °C: read as it was`
}

/** Until its next conversion the sensor tells what it was exposed to before; an emulated one takes the host's time for it. */
async function expose(bench: Bench, hands: BenchHands, celsius: number): Promise<void> {
  const before = await bench.temperature()
  hands.set('tmp102.temperature', celsius)
  await bench.until(`the sensor tells ${celsius} °C`, async () => {
    const told = await bench.temperature()
    must(told === before || told === celsius, `read ${told} °C where it was ${before} °C, then ${celsius} °C`)
    return told === celsius
  })
}

async function setThresholds(bench: Bench, low: number, high: number): Promise<void> {
  const thresholds = Int32Array.of(Math.round(low * PER_DEGREE), Math.round(high * PER_DEGREE))
  await bench.with('tmp102', (file) => file.ioctl(IOCTL_TMP102_SET_THRESHOLDS, new Uint8Array(thresholds.buffer)))
}

/** ALERT comes when the temperature reaches High, and when it falls below Low then: the sensor or the thresholds move. */
async function alert(bench: Bench): Promise<string> {
  const { hands } = bench
  if (hands !== null) await expose(bench, hands, 20)
  const before = (await bench.sensorCounts()).Alerts
  const now = await bench.temperature()
  await setThresholds(bench, ...(hands === null ? ([now - 4, now - 2] as const) : ([25, 30] as const)))
  hands?.set('tmp102.temperature', 35)
  await alerted(bench, before + 1, hands === null ? null : 35)
  if (hands === null) await setThresholds(bench, now + 3, now + 6)
  hands?.set('tmp102.temperature', 20)
  await alerted(bench, before + 2, hands === null ? null : 20)
  await bench.sleep(SETTLE_MS)
  const { Alerts } = await bench.sensorCounts()
  must(Alerts === before + 2, `${Alerts - before} alerts for 2 crossings`)
  await setThresholds(bench, FAR.low, FAR.high)
  const moved = hands === null ? 'the thresholds moved' : 'the temperature moved'
  return `2 crossings (${moved}), 2 alerts, each at the temperature that it was`
}

async function alerted(bench: Bench, count: number, celsius: number | null): Promise<void> {
  await bench.until(`alert ${count}`, async () => (await bench.sensorCounts()).Alerts >= count)
  bench.noteLatency()
  const { AlertTemperature } = await bench.sensorCounts()
  const told = AlertTemperature / PER_DEGREE
  must(celsius === null || told === celsius, `the alert read ${told} °C where it was ${String(celsius)} °C`)
}

export const SENSOR_SCENARIOS: readonly Scenario[] = [
  { name: 'temperature', needs: ['tmp102'], run: temperature },
  { name: 'alert', needs: ['tmp102', 'gpio'], run: alert },
]
