/** A source file as `test/tidy.test.ts` reads it: what is code in it, and what it imports. */

export interface Import {
  specifier: string
  typeOnly: boolean
  line: number
}

const BEFORE_PATTERN = /(?:^|[([{,;=:!&|?+\-*%<>~^]|=>|\b(?:return|typeof|case|of|in|do|else|void|await|yield))\s*$/

/** `text` with spaces for what stands in comments, strings, templates and patterns. Lengths and lines stay. */
export function codeOf(text: string): string {
  const out = text.split('')
  const blank = (from: number, to: number): void => {
    for (let i = from; i < to; i++) if (out[i] !== '\n') out[i] = ' '
  }
  const braces: boolean[] = [] // of the open ones: does closing it return into a template?
  let at = 0
  let lineStart = 0

  const endOf = (close: string, from: number): number => {
    for (let i = from; i < text.length; i++) {
      if (text[i] === '\\') i += 1
      else if (text[i] === close || text[i] === '\n') return i
    }
    return text.length
  }
  const endOfPattern = (from: number): number => {
    let inClass = false
    for (let i = from; i < text.length && text[i] !== '\n'; i++) {
      if (text[i] === '\\') i += 1
      else if (text[i] === '[') inClass = true
      else if (text[i] === ']') inClass = false
      else if (text[i] === '/' && !inClass) return i
    }
    return from
  }
  const template = (from: number): number => {
    for (let i = from; i < text.length; i++) {
      if (text[i] === '\\') i += 1
      else if (text[i] === '`' || text.startsWith('${', i)) {
        blank(from, i)
        if (text[i] === '`') return i + 1
        braces.push(true)
        return i + 2
      }
    }
    return text.length
  }

  while (at < text.length) {
    const char = text[at]
    if (char === '\n') lineStart = at + 1
    if (text.startsWith('//', at) || (at === 0 && text.startsWith('#!'))) {
      const end = text.indexOf('\n', at)
      const stop = end < 0 ? text.length : end
      blank(at, stop)
      at = stop
    } else if (text.startsWith('/*', at)) {
      const end = text.indexOf('*/', at + 2)
      const stop = end < 0 ? text.length : end + 2
      blank(at, stop)
      at = stop
    } else if (char === "'" || char === '"') {
      const end = endOf(char, at + 1)
      blank(at + 1, end)
      at = end + 1
    } else if (char === '`') {
      at = template(at + 1)
    } else if (char === '{') {
      braces.push(false)
      at += 1
    } else if (char === '}') {
      at = braces.pop() === true ? template(at + 1) : at + 1
    } else if (char === '/' && BEFORE_PATTERN.test(out.slice(lineStart, at).join(''))) {
      const end = endOfPattern(at + 1)
      blank(at + 1, end)
      at = end + 1
    } else {
      at += 1
    }
  }
  return out.join('')
}

// In code, a string is its quotes with spaces between them. A worker's URL counts as an import.
const IMPORTS = [
  /\bfrom\s*(['"]) *\1/g,
  /\bimport\s*(['"]) *\1/g,
  /\bimport\s*\(\s*(['"]) *\1/g,
  /\bimport\.meta\.resolve\s*\(\s*(['"]) *\1/g,
  /\bnew\s+URL\s*\(\s*(['"]) *\1\s*,\s*import\.meta\.url/g,
]

export function importsOf(text: string): Import[] {
  const code = codeOf(text)
  const found: Import[] = []
  for (const pattern of IMPORTS) {
    for (const match of code.matchAll(pattern)) {
      const start = match.index + match[0].indexOf(match[1] ?? '') + 1
      const specifier = text.slice(start, code.indexOf(match[1] ?? '', start))
      if (match[0].startsWith('new') && !/\.[cm]?[jt]s$/.test(specifier)) continue
      const statement =
        code.slice(0, match.index).match(/\b(?:import|export)\b(?!.*\b(?:import|export)\b).*$/s)?.[0] ?? ''
      found.push({ specifier, typeOnly: isTypeOnly(statement, match[0]), line: lineOf(code, start) })
    }
  }
  return found
}

function isTypeOnly(statement: string, match: string): boolean {
  if (!match.startsWith('from')) return false
  if (/^(?:import|export)\s+type\b(?!\s*from\b)/.test(statement)) return true
  const names = statement.match(/^(?:import|export)\s*\{([^}]*)\}\s*$/)?.[1]
  return names?.split(',').every((name) => /^\s*(?:type\s.*)?$/s.test(name)) === true
}

export function lineOf(text: string, index: number): number {
  return text.slice(0, index).split('\n').length
}
