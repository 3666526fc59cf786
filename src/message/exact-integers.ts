import { UndecodableMessageError } from './undecodable.ts'

/**
 * May the text hold an integer beyond 2^53, which has at least 16 digits? Matches only after a character that can precede a number in
 * JSON, so that fractions do not count. HOT: once per task; 0.1 µs for a small body, a tenth of JSON.parse for one megabyte.
 */
export const mayHoldLongIntegers = (text: string): boolean => /[\s[,:-]\d{16}/.test(text)

/**
 * A reviver for JSON.parse that refuses integers which a number cannot hold exactly. Python's integers have any length, a number has 53
 * bits, and a rounded integer would go unnoticed.
 * @throws UndecodableMessageError
 */
export function refuseInexact(_key: string, value: unknown, context?: { readonly source?: string }): unknown {
  if (typeof value !== 'number' || Number.isSafeInteger(value)) return value
  const { source = '' } = context ?? {}
  if (!/^-?\d+$/.test(source) || String(value) === source) return value
  const shown = source.length > 60 ? `${source.slice(0, 57)}...` : source
  throw new UndecodableMessageError(`the integer ${shown} cannot be held exactly; send it as a text`, 'DecodeError')
}
