/** TMP102, a temperature sensor with an ALERT output. Texas Instruments SBOS397; what is quoted is its headings. */
import type { ChipTime, I2cTarget } from './bus.ts'

/** What the pointer register selects. */
export const Tmp102Register = { Temperature: 0, Configuration: 1, TLow: 2, THigh: 3 } as const

/** Configuration register, byte 1 in the high byte. */
export const Tmp102Config = {
  OneShot: 0x8000,
  Resolution: 0x6000, // read only, 11
  FaultQueue: 0x1800,
  Polarity: 0x0400,
  ThermostatMode: 0x0200,
  Shutdown: 0x0100,
  ConversionRate: 0x00c0,
  Alert: 0x0020, // read only
  Extended: 0x0010,
} as const
const WRITABLE = 0x9fd0
const RESET_CONFIGURATION = 0x60a0
const RESET_TLOW = 0x4b00 // 75 °C
const RESET_THIGH = 0x5000 // 80 °C

const CONVERSION_US = 26_000
/** By CR1 CR0: 0.25, 1, 4, 8 Hz. */
const PERIODS_US = [4_000_000, 1_000_000, 250_000, 125_000] as const
/** By F1 F0. */
const FAULTS = [1, 2, 4, 6] as const
const STEP = 0.0625
const SMBUS_ALERT_RESPONSE = 0x0c

export class Tmp102 implements I2cTarget {
  readonly address: number
  /** The SMBus alert response address: attach it where the controller asks there. */
  readonly alertResponse: I2cTarget
  /** Told of the level of the ALERT pin (open drain with a pull-up) when it changes. */
  onAlert: (isHigh: boolean) => void = () => {}
  readonly #time: ChipTime
  #celsius = 25
  #pointer = 0
  #written = 0
  #readHigh = true
  #configuration = RESET_CONFIGURATION
  #raw = 0
  #tLow = RESET_TLOW
  #tHigh = RESET_THIGH
  /** End of the conversion under way, or of the next one; Infinity in shutdown. */
  #nextUs = 0
  #isScheduledFor = -1
  #faults = 0
  /** Comparator state: hot from THIGH until it falls below TLOW. AL tells it in both modes. */
  #isHot = false
  /** Interrupt mode: the pin is active and nobody has read since. */
  #isAsking = false
  #level = true

  constructor(time: ChipTime, address = 0x48) {
    this.#time = time
    this.address = address
    this.alertResponse = this.#makeAlertResponse()
    this.#nextUs = time.now() + CONVERSION_US
    this.#plan()
  }

  /** What the chip is exposed to; it is seen from the next conversion on. */
  set celsius(value: number) {
    this.#catchUp()
    this.#celsius = value
  }

  get celsius(): number {
    return this.#celsius
  }

  /** Level of the ALERT pin. */
  get alertPin(): boolean {
    this.#catchUp()
    return this.#level
  }

  /** As after power-up, or a general call reset. */
  reset(): void {
    this.#pointer = 0
    this.#configuration = RESET_CONFIGURATION
    this.#raw = 0
    this.#tLow = RESET_TLOW
    this.#tHigh = RESET_THIGH
    this.#isHot = false
    this.#isAsking = false
    this.#faults = 0
    this.#nextUs = this.#time.now() + CONVERSION_US
    this.#drive()
    this.#plan()
  }

  start(isRead: boolean): boolean {
    this.#catchUp()
    this.#written = 0
    this.#readHigh = true
    if (isRead && this.#isAsking) {
      this.#isAsking = false // a read of any register clears ALERT in interrupt mode
      this.#drive()
    }
    return true
  }

  write(byte: number): boolean {
    this.#written += 1
    if (this.#written === 1) this.#pointer = byte & 3
    else if (this.#written <= 3) this.#store(byte, this.#written === 2)
    return true
  }

  read(): number {
    const value = this.#register()
    const byte = this.#readHigh ? value >> 8 : value & 0xff
    this.#readHigh = !this.#readHigh
    return byte
  }

  stop(): void {}

  #register(): number {
    if (this.#pointer === Tmp102Register.Temperature) return this.#raw
    if (this.#pointer === Tmp102Register.TLow) return this.#tLow
    if (this.#pointer === Tmp102Register.THigh) return this.#tHigh
    const isPositive = (this.#configuration & Tmp102Config.Polarity) !== 0
    const alert = this.#isHot === isPositive ? Tmp102Config.Alert : 0
    return (this.#configuration & ~Tmp102Config.Alert) | alert
  }

  #store(byte: number, isHigh: boolean): void {
    const merge = (old: number): number => (isHigh ? (byte << 8) | (old & 0xff) : (old & 0xff00) | byte)
    if (this.#pointer === Tmp102Register.TLow) this.#tLow = merge(this.#tLow)
    else if (this.#pointer === Tmp102Register.THigh) this.#tHigh = merge(this.#tHigh)
    else if (this.#pointer === Tmp102Register.Configuration) {
      this.#configure(merge(this.#configuration), isHigh && (byte & (Tmp102Config.OneShot >> 8)) !== 0)
    }
  }

  #configure(value: number, isOneShot: boolean): void {
    const before = this.#configuration
    const kept = ~WRITABLE | Tmp102Config.OneShot
    this.#configuration = (before & kept) | (value & ~kept)
    const isShut = (value & Tmp102Config.Shutdown) !== 0
    const wasShut = (before & Tmp102Config.Shutdown) !== 0
    if (!isShut) this.#configuration &= ~Tmp102Config.OneShot
    if (isShut && isOneShot) this.#convertOnce()
    else if (isShut && !wasShut) this.#nextUs = Number.POSITIVE_INFINITY
    else if (!isShut && wasShut) this.#nextUs = this.#time.now() + CONVERSION_US
    const hasNewMode = ((value ^ before) & Tmp102Config.ThermostatMode) !== 0
    if (hasNewMode || (isShut && !wasShut)) this.#isAsking = false // shutdown clears ALERT in interrupt mode
    this.#drive()
    this.#plan()
  }

  /** One-shot: OS reads 0 while the conversion runs and 1 when it is done; then the chip sleeps on. */
  #convertOnce(): void {
    this.#configuration &= ~Tmp102Config.OneShot
    this.#nextUs = this.#time.now() + CONVERSION_US
  }

  get #isExtended(): boolean {
    return (this.#configuration & Tmp102Config.Extended) !== 0
  }

  #encode(celsius: number): number {
    const top = this.#isExtended ? 4095 : 2047
    const steps = Math.max(-top - 1, Math.min(top, Math.floor(celsius / STEP + 0.5)))
    return this.#isExtended ? ((steps << 3) & 0xffff) | 1 : (steps << 4) & 0xffff
  }

  /** Does the conversions that ended since somebody looked. */
  #catchUp(): void {
    const now = this.#time.now()
    while (this.#nextUs <= now) {
      const end = this.#nextUs
      this.#nextUs =
        this.#configuration & Tmp102Config.Shutdown
          ? Number.POSITIVE_INFINITY
          : end + (PERIODS_US[(this.#configuration & Tmp102Config.ConversionRate) >> 6] as number)
      if (this.#configuration & Tmp102Config.Shutdown) this.#configuration |= Tmp102Config.OneShot
      this.#raw = this.#encode(this.#celsius)
      this.#compare()
    }
    this.#drive()
    this.#plan()
  }

  /** "Fault Queue": THIGH sets, TLOW clears; in interrupt mode each asks once. */
  #compare(): void {
    const measured = value(this.#raw, this.#isExtended)
    const isFault = this.#isHot
      ? measured < value(this.#tLow, this.#isExtended)
      : measured >= value(this.#tHigh, this.#isExtended)
    this.#faults = isFault ? this.#faults + 1 : 0
    if (this.#faults < (FAULTS[(this.#configuration & Tmp102Config.FaultQueue) >> 11] as number)) return
    this.#faults = 0
    this.#isHot = !this.#isHot
    if (this.#configuration & Tmp102Config.ThermostatMode) this.#isAsking = true
  }

  #drive(): void {
    const isActive = this.#configuration & Tmp102Config.ThermostatMode ? this.#isAsking : this.#isHot
    const level = isActive === ((this.#configuration & Tmp102Config.Polarity) !== 0)
    if (level === this.#level) return
    this.#level = level
    this.onAlert(level)
  }

  #plan(): void {
    const { after } = this.#time
    if (after === undefined || this.#nextUs === Number.POSITIVE_INFINITY || this.#isScheduledFor === this.#nextUs)
      return
    const at = this.#nextUs
    this.#isScheduledFor = at
    after(at - this.#time.now(), () => {
      if (this.#isScheduledFor !== at) return // planned anew meanwhile
      this.#isScheduledFor = -1
      this.#catchUp()
    })
  }

  #makeAlertResponse(): I2cTarget {
    return {
      address: SMBUS_ALERT_RESPONSE,
      start: (isRead) => isRead && this.#isAsking,
      write: () => false,
      read: () => {
        this.#isAsking = false
        this.#drive()
        return (this.address << 1) | (this.#isHot ? 1 : 0)
      },
      stop() {},
    }
  }
}

/** Steps of 0.0625 °C in a register's left-justified two's complement. */
const value = (raw: number, isExtended: boolean): number => ((raw << 16) >> 16) >> (isExtended ? 3 : 4)
