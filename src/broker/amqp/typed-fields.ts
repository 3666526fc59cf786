/**
 * Gives every number in the headers of a message its wire type of AMQP. amqplib would choose the shortest type, but clients
 * disagree about the short types: py-amqp reads `s` (16 bits) as a text and `b` (8 bits) without its sign, and then cannot read
 * the rest of the table (docs/internals/wire-protocol.md, "Numbers in headers"). HOT: called once for each published message.
 */
export function typedFields(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const typed: Record<string, unknown> = {}
  for (const name in fields) typed[name] = typedValue(fields[name])
  return typed
}

function typedValue(value: unknown): unknown {
  if (typeof value === 'number') return typedNumber(value)
  if (typeof value !== 'object' || value === null || Buffer.isBuffer(value)) return value
  if (Array.isArray(value)) return value.map(typedValue)
  if (isReadByAmqplib(value)) return value
  const fields = typedFields(value as Record<string, unknown>)
  // amqplib reads an object with the key "!" as a typed value, unless the object is marked as an object.
  return '!' in fields ? { '!': 'object', value: fields } : fields
}

const [MIN_INT32, MAX_INT32, PAST_INT64] = [-(2 ** 31), 2 ** 31 - 1, 2 ** 63]

/**
 * Uses 32 bits where possible. py-amqp reads 64 bits without their sign, so an integer below the range of 32 bits becomes a
 * double, which all clients read alike.
 */
function typedNumber(value: number): unknown {
  if (!Number.isInteger(value) || value < MIN_INT32 || value >= PAST_INT64) return { '!': 'double', value }
  return { '!': value <= MAX_INT32 ? 'int' : 'long', value }
}

const isUnsigned = (value: unknown, limit: number) =>
  Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) < limit

/**
 * Returns true for a timestamp or a decimal as amqplib decodes it. It stays unchanged, so that a message that is sent again has
 * the same value.
 */
function isReadByAmqplib(value: object): boolean {
  const { '!': type, value: inner } = value as { '!'?: unknown; value?: unknown }
  if (type === 'timestamp') return isUnsigned(inner, Number.MAX_SAFE_INTEGER)
  if (type !== 'decimal' || typeof inner !== 'object' || inner === null) return false
  const { places, digits } = inner as { places?: unknown; digits?: unknown }
  return isUnsigned(places, 256) && isUnsigned(digits, 2 ** 32)
}
