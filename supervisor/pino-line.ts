import { fromByteString, toByteString } from './line-splitter.ts'

/** Level numbers of pino (API of pino 10, "level"). */
const LEVELS: Record<number, string> = { 10: 'trace', 20: 'debug', 30: 'info', 40: 'warn', 50: 'error', 60: 'fatal' }
const LEVEL_COLOURS: Record<string, string> = {
  warn: '33',
  warning: '33',
  error: '31',
  critical: '31;1',
  fatal: '31;1',
  debug: '2',
  trace: '2',
}
/** Fields that are not shown, because the prefix already shows them, or because they are useless at a terminal. */
const UNSAID = new Set(['time', 'pid', 'hostname', 'name', 'v'])
/**
 * Matches colour sequences, which are kept, and control characters except tab, which are escaped again: they were escaped in the
 * JSON record, and a terminal must not execute them.
 */
const CONTROL = /\x1b\[[\d;]*m|[\x00-\x08\x0a-\x1f\x7f-\x9f]/g
/** Matches a number with more digits than a double can represent. */
const MANY_DIGITS = /\d{16}/

export interface LogRecord {
  /** The level that the child logged, as a lower-case name (`info`, `warn`, …). undefined: the record has no level. */
  readonly level: string | undefined
  readonly message: string | undefined
  /** All other fields. */
  readonly fields: Map<string, unknown>
}

/** Parses a line (a byte string) that is one JSON object. Returns undefined for any other line. */
export function parseRecord(line: string): LogRecord | undefined {
  if (line.charCodeAt(0) !== 0x7b || line.charCodeAt(line.length - 1) !== 0x7d) return undefined
  try {
    const fields = new Map(Object.entries(JSON.parse(fromByteString(line), MANY_DIGITS.test(line) ? keepDigits : undefined)))
    const level = take(fields, ['level', 'severity', 'levelname'], levelName)
    const message = take(fields, ['msg', 'message', 'event'], (value) => (typeof value === 'string' ? value : undefined))
    return { level, message, fields }
  } catch {
    return undefined
  }
}

/** Removes and returns the first of these fields that `read` accepts. A field that `read` rejects stays. */
export function take<T>(fields: Map<string, unknown>, keys: string[], read: (value: unknown) => T | undefined): T | undefined {
  for (const key of keys) {
    const value = read(fields.get(key))
    if (value !== undefined && fields.delete(key)) return value
  }
  return undefined
}

/**
 * A reviver for JSON.parse that keeps all digits of long numbers. Uses JSON.rawJSON and context.source (ES2026, in V8 since Node
 * 21), for which TypeScript 7.0 has no types.
 */
function keepDigits(_key: string, value: unknown, context?: { source?: string }): unknown {
  const source = context?.source
  if (typeof value !== 'number' || source === undefined || String(value) === source) return value
  return (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON(source)
}

function levelName(level: unknown): string | undefined {
  if (typeof level === 'number') return LEVELS[level] ?? String(level)
  return typeof level === 'string' ? level.toLowerCase() : undefined
}

/** Renders a log record as `WARN message key=value`. Returns undefined if the line is not a log record. */
export function renderRecord(line: string, colour: boolean): string | undefined {
  const { level, message, fields } = parseRecord(line) ?? {}
  if (level === undefined || message === undefined || fields === undefined) return undefined
  const paint = colour ? LEVEL_COLOURS[level] : undefined
  const label = level.toUpperCase().padEnd(5)
  const stack = take(fields, ['err'], stackOf)
  const words = [message]
  for (const [key, value] of fields) if (!UNSAID.has(key)) words.push(`${key}=${fieldText(value)}`)
  const lines = [words.join(' '), ...(stack ?? [])].map((text) => text.replace(CONTROL, escapeControl))
  return toByteString(`${paint === undefined ? label : `\x1b[${paint}m${label}\x1b[0m`} ${lines.join('\n    ')}`)
}

/** Escapes a control character as JSON does. JSON.stringify does not escape U+007F to U+009F, so this function does. */
const escapeControl = (found: string) =>
  found.length > 1 ? found : found < ' ' ? JSON.stringify(found).slice(1, -1) : `\\u00${found.charCodeAt(0).toString(16)}`

/** Returns a value in logfmt: without quotes if it is unambiguous, else as JSON. */
export function fieldText(value: unknown): string {
  if (typeof value === 'string') return /^[^\s"=\\\x00-\x1f\x7f]+$/.test(value) ? value : JSON.stringify(value)
  return JSON.stringify(value) ?? ''
}

/**
 * Returns the lines of the stack of an error, or its message if it has no stack. Returns undefined if the value is not an error.
 */
function stackOf(error: unknown): string[] | undefined {
  if (typeof error !== 'object' || error === null) return undefined
  const { stack, message } = error as { stack?: unknown; message?: unknown }
  const text = stack ?? message
  return typeof text === 'string' ? text.split('\n') : undefined
}
