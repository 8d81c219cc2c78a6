/** DIRQL_BOARDS: where attached boards are, so that a program or a test that simulates them runs against real ones. */

/**
 * The path that `DIRQL_BOARDS` gives the board `name`: `DIRQL_BOARDS=uno-0=/dev/ttyACM0,button-0=/dev/ttyUSB0`. Undefined
 * when it gives none. Throws where it is no such list.
 */
export function placeOf(name: string, list = process.env['DIRQL_BOARDS'] ?? ''): string | undefined {
  for (const entry of list.split(',')) {
    if (entry.trim() === '') continue
    const at = entry.indexOf('=')
    if (at < 1 || at === entry.length - 1) {
      throw new Error(`DIRQL_BOARDS has '${entry}': write NAME=PATH, several with commas between them`)
    }
    if (entry.slice(0, at).trim() === name) return entry.slice(at + 1).trim()
  }
  return undefined
}
