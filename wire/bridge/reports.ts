/** The bridge's stream of bytes in HID reports: a length, so many bytes, and nothing (docs/wire.md, 10). */

export const REPORT_SIZE = 64

/** `bytes` in reports of `size` bytes each. */
export function toReports(bytes: Uint8Array, size = REPORT_SIZE): Uint8Array[] {
  const reports: Uint8Array[] = []
  for (let from = 0; from < bytes.length; from += size - 1) {
    const part = bytes.subarray(from, from + size - 1)
    const report = new Uint8Array(size)
    report[0] = part.length
    report.set(part, 1)
    reports.push(report)
  }
  return reports
}

/** The bytes that a report holds; none where its length cannot be. */
export function fromReport(report: Uint8Array): Uint8Array {
  const length = report[0] ?? 0
  return length < report.length ? report.subarray(1, 1 + length) : report.subarray(0, 0)
}
