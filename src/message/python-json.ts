import { UndecodableMessageError } from './undecodable.ts'

type Reviver = (key: string, value: unknown, context?: { readonly source?: string }) => unknown

/**
 * Parses JSON as Python writes it: with NaN and Infinity, kombu's types, and integers of any length
 * (docs/internals/wire-protocol.md, "Serialization and compression"). `exact` refuses integers that a number cannot hold exactly, `any`
 * rounds them. HOT: once per task.
 * @throws UndecodableMessageError
 */
export function parseJson(text: string, integers: 'exact' | 'any' = 'exact'): unknown {
  const value = parseLoosely(text, integers === 'exact' && mayHoldLongIntegers(text) ? refuseInexact : undefined)
  return text.includes('"__type__"') ? reviveTyped(value) : value
}

/** The text is searched for NaN and Infinity only after the strict parser has refused it. */
function parseLoosely(text: string, reviver: Reviver | undefined): unknown {
  try {
    return JSON.parse(text, reviver)
  } catch (cause) {
    if (cause instanceof UndecodableMessageError) throw cause
    const patched = replaceNonFinite(text)
    if (patched === text) throw new UndecodableMessageError(`the body is not JSON: ${(cause as Error).message}`)
    return parsePatched(patched, cause as Error, reviver ?? ((_key, value) => value))
  }
}

function parsePatched(patched: string, cause: Error, reviver: Reviver): unknown {
  try {
    return JSON.parse(patched, (key, value, context?: { readonly source?: string }) =>
      reviver(key, reviveNonFinite(value), context),
    )
  } catch (error) {
    if (error instanceof UndecodableMessageError) throw error
    throw new UndecodableMessageError(`the body is not JSON: ${cause.message}`)
  }
}

/** Prefix of a text that stands for a number which JSON does not have. */
const PREFIX = '\u0000onedyno:'

const replaceNonFinite = (text: string) =>
  text.replace(/"(?:[^"\\]|\\.)*"|-?Infinity|NaN/g, (token) => (token.startsWith('"') ? token : `"\\u0000onedyno:${token}"`))

const reviveNonFinite = (value: unknown) =>
  typeof value === 'string' && value.startsWith(PREFIX) ? Number(value.slice(PREFIX.length)) : value

/**
 * Returns true if the text may hold an integer beyond 2^53, which has at least 16 digits. Digits count only after a character
 * that can precede a number in JSON, so that fractions do not match. Takes 0.1 µs for a small body, and for one megabyte a tenth
 * of the time of JSON.parse.
 */
const mayHoldLongIntegers = (text: string): boolean => /[\s[,:-]\d{16}/.test(text)

/**
 * A reviver for JSON.parse that refuses integers which a number cannot hold exactly. Python's integers have any length, a number
 * has 53 bits, and a rounded integer would go unnoticed.
 * @throws UndecodableMessageError
 */
function refuseInexact(_key: string, value: unknown, context?: { readonly source?: string }): unknown {
  if (typeof value !== 'number' || Number.isSafeInteger(value)) return value
  const { source = '' } = context ?? {}
  if (!/^-?\d+$/.test(source) || String(value) === source) return value
  const shown = source.length > 60 ? `${source.slice(0, 57)}...` : source
  throw new UndecodableMessageError(
    `the integer ${shown} cannot be held exactly by a JavaScript number: send it as a text`,
    'DecodeError',
  )
}

type Reader = (value: unknown) => unknown

const text = (value: unknown): string => {
  if (typeof value === 'string') return value
  throw new UndecodableMessageError(`the __value__ of a typed value must be a text, not ${JSON.stringify(value)}`)
}

/**
 * Every type that kombu 5.3 and later encodes becomes a text, which is what older versions of kombu send. This way argument
 * schemas do not depend on the sender's version, microseconds are kept (a Date has none), and a task can return an argument
 * unchanged.
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
 * Replaces each `{"__type__": …, "__value__": …}`, which is Python's form of a value that JSON does not have. Changes the value
 * in place.
 * @throws UndecodableMessageError if the type is unknown; kombu fails there too
 */
function reviveTyped(value: unknown): unknown {
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
  if (reader === undefined) throw new UndecodableMessageError(`the __type__ ${JSON.stringify(type)} of a typed value is unknown`)
  return reader(value)
}

const dashed = (hex: string) => hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
