import { UndecodableMessageError } from './undecodable.ts'

type Reader = (value: unknown) => unknown

const text = (value: unknown): string => {
  if (typeof value === 'string') return value
  throw new UndecodableMessageError(`a typed value holds ${JSON.stringify(value)} instead of a text`)
}

/**
 * Every type of kombu 5.3 and later becomes a text, as older versions of kombu send it. So argument schemas do not depend on the
 * sender's version, microseconds are kept (a Date has none), and a task can return an argument unchanged.
 */
const READERS: Readonly<Record<string, Reader>> = {
  datetime: text,
  date: text,
  time: text,
  decimal: text,
  uuid: (value) => dashed(text((value as { hex?: unknown } | null)?.hex)),
  bytes: text,
  base64: text,
}

/**
 * Replaces each `{"__type__": …, "__value__": …}`, Python's form of values that JSON does not have (docs/internals/wire-protocol.md,
 * "Serialization and compression"). Changes the value in place.
 * @throws UndecodableMessageError for an unknown type, as kombu does
 */
export function reviveTyped(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++) value[index] = reviveTyped(value[index])
    return value
  }
  const record = value as Record<string, unknown>
  if (isTyped(record)) return read(record.__type__, record.__value__)
  for (const key of Object.keys(record)) record[key] = reviveTyped(record[key])
  return record
}

const isTyped = (record: Record<string, unknown>) =>
  Object.hasOwn(record, '__type__') && Object.hasOwn(record, '__value__') && Object.keys(record).length === 2

function read(type: unknown, value: unknown): unknown {
  const reader = typeof type === 'string' && Object.hasOwn(READERS, type) ? READERS[type] : undefined
  if (reader === undefined) throw new UndecodableMessageError(`a value has the type ${JSON.stringify(type)}, which is not known`)
  return reader(value)
}

/** Milliseconds since the epoch, or NaN if the text is not a time. Celery also writes times without a zone, which means UTC. */
export function parseCeleryTime(iso: string): number {
  if (!/^\d{4}-\d{2}-\d{2}/.test(iso)) return Number.NaN
  const zoned = /(?:Z|[+-]\d{2}:?\d{2})$/i.test(iso.slice(10))
  return Date.parse(zoned || iso.length === 10 ? iso : `${iso}Z`)
}

const dashed = (hex: string) => hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
