import { exitCode } from './exit.ts'
import type { Format, LifeEvent } from './format.ts'
import { fromByteString, toByteString } from './line-splitter.ts'
import { fieldText, parseRecord, take } from './pino-line.ts'

export interface RecordStyle {
  readonly kind: 'json' | 'logfmt'
  readonly lineBytes: number
  readonly now: () => number
}

type Fields = Record<string, unknown>

/** The upper six bits of a low surrogate, the second half of a UTF-16 pair. */
const LOW_SURROGATE = 0xdc00 >> 10

/**
 * Creates a format that writes each line as one record: `time`, `process`, `level` if the child logged one, and `message`. If
 * the child writes JSON objects, as pino does, their fields are merged into the record.
 */
export function createRecordFormat(style: RecordStyle): Format {
  const write = (record: Fields) => {
    const text = style.kind === 'json' ? JSON.stringify(record) : toLogfmt(record)
    return `${toByteString(text)}\n`
  }
  const one = (name: string, line: string): string => {
    const text = write(toRecord(name, line, style.now()))
    if (text.length <= style.lineBytes + 1 || line.length < 2) return text
    // Escaping made the record too long, so the line is cut between two characters and written as two records.
    const decoded = fromByteString(line)
    const middle = decoded.length >> 1
    const half = decoded.charCodeAt(middle) >> 10 === LOW_SURROGATE ? middle + 1 : middle
    return one(name, toByteString(`${decoded.slice(0, half)}…`)) + one(name, toByteString(`…${decoded.slice(half)}`))
  }
  return {
    write(name, block, add) {
      for (const line of block.split('\n')) add(one(name, line))
    },
    say: (event, add) =>
      add(write({ time: new Date(style.now()).toISOString(), process: 'system', level: 'info', ...describe(event) })),
    widen() {},
    room: (name) => style.lineBytes - name.length - 80,
  }
}

function toRecord(name: string, line: string, nowMs: number): Fields {
  const { level, message, fields } = parseRecord(line) ?? { message: fromByteString(line), fields: new Map() }
  const time = take(fields, ['time'], timeOf) ?? new Date(nowMs).toISOString()
  const record: Fields = { time, process: name, ...(level !== undefined && { level }), ...(message !== undefined && { message }) }
  // If a field of the child has a name that the record already uses, such as "process", it is renamed to "process_".
  for (const [key, value] of fields) record[Object.hasOwn(record, key) ? `${key}_` : key] = value
  return record
}

/** Reads the time of a record: pino writes milliseconds, other loggers write text. */
function timeOf(time: unknown): string | undefined {
  if (typeof time === 'string') return time
  if (typeof time !== 'number') return undefined
  const date = new Date(time)
  return Number.isNaN(date.getTime()) ? undefined : date.toISOString()
}

const toLogfmt = (record: Fields) =>
  Object.entries(record)
    .map(
      ([key, value]) => `${key.replace(/[\s="]/g, '_')}=${fieldText(typeof value === 'object' ? JSON.stringify(value) : value)}`,
    )
    .join(' ')

function describe(event: LifeEvent): Fields {
  switch (event.tag) {
    case 'started':
      return { message: 'process started', name: event.name, pid: event.pid }
    case 'stopped':
      return {
        message: 'process stopped',
        name: event.name,
        code: exitCode(event.exit),
        ...('signal' in event.exit && { signal: event.exit.signal }),
      }
    case 'signalled':
      return { message: 'signal sent', name: event.name, pid: event.pid, signal: event.signal }
    case 'received':
      return { message: 'signal received', signal: event.signal }
    default:
      return { message: event.text }
  }
}
