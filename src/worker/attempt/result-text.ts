import { checkJson } from '../../message/check-json.ts'

/**
 * A result as it is stored. A task without a value returns null, as Python's does.
 * @param maxBytes of the JSON; a larger one is not stored
 * @throws EncodeError naming the place of what JSON does not have; ResultTooLarge
 */
export function resultText(value: unknown, maxBytes: number): string {
  if (value === undefined) return 'null'
  const text = encode(value)
  // In UTF-8 a unit of a JavaScript string takes three bytes at most: short ones need not be counted.
  if (text.length * 3 > maxBytes && Buffer.byteLength(text) > maxBytes)
    throw named('ResultTooLarge', `the result has ${Buffer.byteLength(text)} bytes, and ${maxBytes} are kept: store it elsewhere`)
  return text
}

function encode(value: unknown): string {
  try {
    checkJson(value, 'result')
  } catch (cause) {
    throw named('EncodeError', (cause as Error).message)
  }
  return JSON.stringify(value)
}

const named = (name: string, message: string): Error => Object.assign(new Error(message), { name })
