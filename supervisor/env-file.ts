import { SupervisorError } from './errors.ts'
import { NUL_PROBLEM } from './procfile.ts'

export interface EnvFile {
  readonly values: Record<string, string>
  /** Warnings about lines that may not mean what their author intended. `check` shows them. */
  readonly warnings: string[]
}

const ASSIGNMENT = /^(?:export\s+)?([A-Za-z_][A-Za-z0-9_.%()-]*)=(.*)$/
/** Matches a complete value in double quotes, optionally followed by a comment. */
const DOUBLE = /^"((?:[^"\\]|\\[\s\S])*)"[ \t]*(?:#.*)?$/
const SINGLE = /^'([^']*)'[ \t]*(?:#.*)?$/
const ESCAPED = /\\([\s\S])/g
const ESCAPES: Record<string, string> = { n: '\n', t: '\t', r: '\r', '"': '"', '\\': '\\', $: '$' }

/**
 * Parses a `.env` file, including the raw output of `env > .env`. If a value is not one quoted word, it is taken literally: `#`,
 * spaces, `=` and apostrophes are ordinary characters. A line without an assignment continues the value of the line before,
 * because `env` prints a newline inside a value as a newline. A quoted value may have several lines. Escapes such as `\n` are
 * resolved in double quotes only. Variables are not expanded. Blank lines and lines that start with `#` are skipped.
 * @param file the name of the file in messages
 * @throws SupervisorError ENV_FILE_INVALID if a line neither assigns nor continues a value
 */
export function parseEnvFile(text: string, file = '.env'): EnvFile {
  const lines = text
    .replace(/^\uFEFF/, '')
    .split('\n')
    .map((line) => (line.endsWith('\r') ? line.slice(0, -1) : line))
  // The object has no prototype, so that a variable may be named __proto__.
  const values: Record<string, string> = Object.create(null)
  const warnings: string[] = []
  const problems = lines.flatMap((line, at) => (line.includes('\0') ? [`${file}:${at + 1}: ${NUL_PROBLEM}`] : []))
  let open: string | undefined
  let blanks = ''
  for (let at = 0; at < lines.length; at += 1) {
    const line = lines[at]!
    const inBlock = open !== undefined && isOpenBlock(values[open]!)
    const match = inBlock ? null : ASSIGNMENT.exec(line)
    if (match !== null) {
      open = match[1]!
      const { value, last } = readValue(lines, at, match[2]!)
      values[open] = value
      at = last
    } else if (line.trim() === '' || (!inBlock && line.trimStart().startsWith('#'))) {
      if (line.trim() === '') blanks += '\n'
      continue
    } else if (open === undefined) {
      problems.push(`${file}:${at + 1}: no NAME= at the start: ${JSON.stringify(line)}`)
    } else {
      values[open] += `${blanks}\n${line}`
      warnings.push(`${file}:${at + 1}: read as a continuation of ${open}`)
    }
    blanks = ''
  }
  if (problems.length > 0) throw new SupervisorError('ENV_FILE_INVALID', problems.join('\n'))
  return { values, warnings }
}

/**
 * Returns true if the value is PEM text without its END line. The base64 lines of PEM may look like assignments ("MIIE=="), so
 * all lines up to the END line belong to the value.
 */
const isOpenBlock = (value: string) => value.startsWith('-----BEGIN ') && !/\n-----END [^\n]*-----/.test(value)

function readValue(lines: readonly string[], at: number, first: string): { value: string; last: number } {
  const quote = first[0]
  if (quote !== '"' && quote !== "'") return { value: first, last: at }
  const whole = quote === '"' ? DOUBLE : SINGLE
  let text = first
  for (let last = at; last < lines.length; last += 1) {
    if (last > at) text += `\n${lines[last]}`
    const match = whole.exec(text)
    if (match !== null) return { value: quote === '"' ? unescapeText(match[1]!) : match[1]!, last }
    // Text follows the closing quote, as in the raw value `"a" b`, so the quotes are part of the value.
    if (text.slice(1).replace(ESCAPED, '').includes(quote)) break
  }
  return { value: first, last: at }
}

const unescapeText = (text: string) => text.replace(ESCAPED, (both, char: string) => ESCAPES[char] ?? both)
