import { UndecodableMessageError } from './undecodable.ts'

/**
 * Does the text perhaps hold an integer of 16 digits or more, the least that may lie beyond 2^53? Looks at what may stand before a number in
 * JSON, so that fractions are passed over. HOT: once per task; 0.1 µs for a small body, a tenth of JSON.parse for one of a megabyte.
 */
export const mayHoldLongIntegers = (text: string): boolean => /[\s[,:-]\d{16}/.test(text)

/**
 * A reviver for JSON.parse. Python's integers have no end, a number here has 53 bits: what would come back as another integer is refused,
 * because nobody would notice.
 * @throws UndecodableMessageError
 */
export function refuseInexact(_key: string, value: unknown, context?: { readonly source?: string }): unknown {
  if (typeof value !== 'number' || Number.isSafeInteger(value)) return value
  const { source = '' } = context ?? {}
  if (!/^-?\d+$/.test(source) || String(value) === source) return value
  const shown = source.length > 60 ? `${source.slice(0, 57)}...` : source
  throw new UndecodableMessageError(`the integer ${shown} cannot be held exactly; send it as a text`, 'DecodeError')
}
