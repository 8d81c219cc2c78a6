/** What a device of the host's own tells, kept. */
import type { DeviceClass, DeviceLayout, LineSpec, RegisterSpec } from '../../classes/device.ts'
import type { SoftEvents, SoftFrame } from '../../wire/softdevice.ts'

export const layoutOf = (
  { name, version, registers, lines }: DeviceClass,
  more: { registers?: RegisterSpec[]; lines?: LineSpec[] } = {},
): DeviceLayout => ({
  name: 'it',
  class: name,
  version,
  registers: [...registers, ...(more.registers ?? [])],
  lines: [...lines, ...(more.lines ?? [])],
})

export class Seen implements SoftEvents {
  readonly frames: SoftFrame[] = []
  readonly entries: number[] = []
  readonly logs: string[] = []

  frame(frame: SoftFrame): void {
    this.frames.push(frame)
  }

  fifo(_device: number, _offset: number, entries: ArrayLike<number>): void {
    this.entries.push(...Array.from(entries))
  }

  log(text: string): void {
    this.logs.push(text)
  }

  get text(): string {
    return new TextDecoder().decode(Uint8Array.from(this.entries))
  }

  /** Frames of a line, short. */
  of(line: number): string[] {
    return this.frames
      .filter((frame) => frame.line === line)
      .map(({ sequence, edges, snapshot }) => `${sequence}: ${edges} [${snapshot.map(({ value }) => value).join(' ')}]`)
  }
}

export const ascii = (text: string): Uint8Array => new TextEncoder().encode(text)
