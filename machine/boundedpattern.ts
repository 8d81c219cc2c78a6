/**
 * Whether a regular expression ends in good time on every text line.
 *
 * Backtracking can take exponential time, and a board file may come from anywhere. So patterns are a simple language:
 * no reference back, no look around, no repetition in a repetition; and of what is left only a few repetitions that
 * what follows could have matched as well.
 */

/** Each costs up to the line's length as a factor. */
const MOST_LOOSE = 2
/** Ways through the alternatives of all groups. */
const MOST_WAYS = 1024

const ATOM = /\\u\{[0-9a-fA-F]+\}|\\u[0-9a-fA-F]{4}|\\x[0-9a-fA-F]{2}|\\[^]|\[(?:\\[^]|[^\]\\])*\]|[^]/uy
const QUANTIFIER = /(?:[*+?]|\{\d+(?:,\d*)?\})\??/uy
const LOOKS = /^\(\?(?!:)/
const BACK_REFERENCE = /^\\[1-9k]/
const ZERO_WIDTH = new Set(['^', '$', '\\b', '\\B'])
const SAMPLE = Array.from({ length: 95 }, (_, index) => String.fromCharCode(32 + index)).concat('\t', 'é', '\ufffd')

type Token =
  | { kind: 'atom'; set: boolean[]; isVaried: boolean; mayBeEmpty: boolean }
  | { kind: 'open' }
  | { kind: 'or' }
  | { kind: 'close'; isRepeated: boolean; isOptional: boolean }

/** Why a pattern is refused; null when it is fine. `match` must be a regular expression. */
export function unboundedReason(match: string): string | null {
  const tokens = tokensOf(match)
  if (typeof tokens === 'string') return tokens
  return nestedReason(tokens) ?? looseReason(tokens, isAnchored(match, tokens))
}

function tokensOf(match: string): Token[] | string {
  const tokens: Token[] = []
  let at = 0
  const take = (pattern: RegExp): string => {
    pattern.lastIndex = at
    const text = pattern.exec(match)?.[0] ?? ''
    at += text.length
    return text
  }
  while (at < match.length) {
    const rest = match.slice(at)
    if (LOOKS.test(rest)) return 'it looks ahead or behind, or names a group; take (?… out'
    if (BACK_REFERENCE.test(rest)) return 'it refers back to a group; take the reference out'
    const atom = take(ATOM)
    const isClose = atom === ')'
    const quantifier = atom === '(' || atom === '|' || ZERO_WIDTH.has(atom) ? '' : take(QUANTIFIER)
    const mayBeEmpty = /^(?:[*?]|\{0)/.test(quantifier)
    const isVaried = quantifier !== '' && !/^\{\d+\}/.test(quantifier)
    if (atom === '(') {
      if (match.startsWith('?:', at)) at += 2
      tokens.push({ kind: 'open' })
    } else if (atom === '|') tokens.push({ kind: 'or' })
    else if (isClose) tokens.push({ kind: 'close', isRepeated: /^[*+{]/.test(quantifier), isOptional: mayBeEmpty })
    else if (!ZERO_WIDTH.has(atom)) tokens.push({ kind: 'atom', set: setOf(atom), isVaried, mayBeEmpty })
  }
  return tokens
}

/** Which characters of the sample an atom matches. */
function setOf(atom: string): boolean[] {
  const one = new RegExp(`^${atom}$`, 'u')
  return SAMPLE.map((character) => one.test(character))
}

/** A group that repeats may hold nothing that can match in several ways. */
function nestedReason(tokens: readonly Token[]): string | null {
  const groups: { isVaried: boolean; alternatives: number }[] = [{ isVaried: false, alternatives: 1 }]
  let ways = 1
  for (const token of tokens) {
    const group = groups[groups.length - 1] as { isVaried: boolean; alternatives: number }
    if (token.kind === 'open') groups.push({ isVaried: false, alternatives: 1 })
    else if (token.kind === 'or') group.alternatives += 1
    else if (token.kind === 'atom') group.isVaried ||= token.isVaried
    else {
      groups.pop()
      const isVaried = group.isVaried || group.alternatives > 1
      if (isVaried && token.isRepeated)
        return 'it repeats what itself repeats or has alternatives; take one of the two out'
      ways *= group.alternatives * (token.isOptional ? 2 : 1)
      const outer = groups[groups.length - 1]
      if (outer !== undefined) outer.isVaried ||= isVaried || token.isRepeated || token.isOptional
    }
  }
  return ways > MOST_WAYS ? `it has ${ways} ways through its alternatives; ${MOST_WAYS} are the most` : null
}

/** Whether it is tried at the beginning of the line only, and not at each place in it. */
function isAnchored(match: string, tokens: readonly Token[]): boolean {
  let depth = 0
  for (const { kind } of tokens) {
    if (kind === 'or' && depth === 0) return false
    depth += Number(kind === 'open') - Number(kind === 'close')
  }
  return match.startsWith('^')
}

/**
 * Repetitions that end where something follows which they could have matched, too: each is tried at every length. One
 * behind them that is tried at one length only goes through the line as often as they have ways.
 */
function looseReason(tokens: readonly Token[], anchored: boolean): string | null {
  const isVaried = (token: Token): boolean => token.kind === 'atom' && token.isVaried
  const isCounted = (token: Token, index: number): boolean =>
    (token.kind === 'close' && token.isRepeated) ||
    (token.kind === 'atom' && token.isVaried && isLoose(token.set, tokens, index))
  const count = tokens.filter(isCounted).length
  const last = tokens.findLastIndex(isCounted)
  if (count > MOST_LOOSE) {
    return `it has ${count} repetitions that run into what follows them, such as .* before a letter; ${MOST_LOOSE} are the most`
  }
  if (count < MOST_LOOSE || anchored || !tokens.slice(last + 1).some(isVaried)) return null
  return `it has ${count} repetitions that run into what follows them, such as .* before a letter, and one more behind them; begin it with ^, or take one out`
}

function isLoose(set: readonly boolean[], tokens: readonly Token[], index: number): boolean {
  for (const token of tokens.slice(index + 1)) {
    if (token.kind === 'or') return true // what follows is one of several
    if (token.kind !== 'atom') continue
    if (token.set.some((matches, character) => matches && set[character])) return true
    if (!token.mayBeEmpty) return false
  }
  return false
}
