import { fromByteString, toByteString } from './byte-string.ts'

/** The numbers of pino's levels (pino 10, docs/api.md "level"). */
const LEVELS: Record<number, string> = { 10: 'trace', 20: 'debug', 30: 'info', 40: 'warn', 50: 'error', 60: 'fatal' }
const LEVEL_COLOURS: Record<string, string> = { warn: '33', error: '31', fatal: '31;1', debug: '2', trace: '2' }
/** Said by the prefix already, or of no use to a reader at a terminal. */
const UNSAID = new Set(['level', 'time', 'msg', 'message', 'pid', 'hostname', 'name', 'v', 'err'])

export type LogRecord = Record<string, unknown>

/** A child's line as a record, when it is one JSON object; byte strings as in line-splitter.ts. */
export function parseRecord(line: string): LogRecord | undefined {
  if (line.charCodeAt(0) !== 0x7b || line.charCodeAt(line.length - 1) !== 0x7d) return undefined
  try {
    return JSON.parse(fromByteString(line)) as LogRecord
  } catch {
    return undefined
  }
}

/** `info`, `warn`, … whatever way the child names its level. */
export function levelOf(record: LogRecord): string | undefined {
  const level = record.level ?? record.severity ?? record.levelname
  if (typeof level === 'number') return LEVELS[level] ?? String(level)
  return typeof level === 'string' ? level.toLowerCase() : undefined
}

export function messageOf(record: LogRecord): string | undefined {
  const message = record.msg ?? record.message ?? record.event
  return typeof message === 'string' ? message : undefined
}

/** `WARN  message key=value` for a person, or undefined when the line is no log record. */
export function renderRecord(line: string, colour: boolean): string | undefined {
  const record = parseRecord(line)
  if (record === undefined) return undefined
  const level = levelOf(record)
  const message = messageOf(record)
  if (level === undefined || message === undefined) return undefined
  const paint = colour ? LEVEL_COLOURS[level] : undefined
  const label = level.toUpperCase().padEnd(5)
  const words = [paint === undefined ? label : `\x1b[${paint}m${label}\x1b[0m`, oneLine(message)]
  for (const [key, value] of Object.entries(record)) if (!UNSAID.has(key)) words.push(`${key}=${fieldText(value)}`)
  const stack = stackOf(record)
  const text = stack === undefined ? words.join(' ') : `${words.join(' ')}\n${stack}`
  return toByteString(text)
}

const oneLine = (text: string) => text.replaceAll('\n', '\\n')

/** A value as logfmt writes it: bare where nothing can be misread, else as JSON. */
export function fieldText(value: unknown): string {
  if (typeof value === 'string') return /^[^\s"=\\\x00-\x1f\x7f]+$/.test(value) ? value : JSON.stringify(value)
  return JSON.stringify(value) ?? ''
}

function stackOf(record: LogRecord): string | undefined {
  const error = record.err
  if (typeof error !== 'object' || error === null) return undefined
  const { stack, message } = error as { stack?: unknown; message?: unknown }
  if (typeof stack === 'string') return stack.replace(/^/gm, '    ')
  return typeof message === 'string' ? `    ${message}` : undefined
}
