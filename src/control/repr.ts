/** Longer values are truncated. Characters. */
const MAX_CHARS = 1024

/** Returns a JSON value as Python prints it: None, True, 'text'. */
export function pythonRepr(value: unknown): string {
  if (value === null || value === undefined) return 'None'
  if (value === true) return 'True'
  if (value === false) return 'False'
  if (typeof value === 'string') return quoted(value)
  if (Array.isArray(value)) return `[${value.map(pythonRepr).join(', ')}]`
  if (typeof value === 'object')
    return `{${Object.entries(value)
      .map(([key, item]) => `${quoted(key)}: ${pythonRepr(item)}`)
      .join(', ')}}`
  return String(value)
}

/** Returns a result, which is given as JSON text, as Python prints it. A long text is truncated instead of parsed. */
export function reprOfJson(text: string | null): string {
  if (text === null) return 'None'
  return text.length > 4 * MAX_CHARS ? `${text.slice(0, MAX_CHARS)}...` : cut(pythonRepr(JSON.parse(text)))
}

/** Returns an encoded exception as Python prints it: `ValueError('boom', 7)`. */
export function reprOfException(text: string | null): string {
  const { exc_type = 'Exception', exc_message = [] } = JSON.parse(text ?? '{}') as { exc_type?: string; exc_message?: unknown }
  const messages = Array.isArray(exc_message) ? exc_message : [exc_message]
  return cut(`${exc_type}(${messages.map(pythonRepr).join(', ')})`)
}

const cut = (text: string) => (text.length > MAX_CHARS ? `${text.slice(0, MAX_CHARS)}...` : text)

function quoted(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'"
  const inner = text
    .replaceAll('\\', '\\\\')
    .replaceAll('\n', '\\n')
    .replaceAll('\r', '\\r')
    .replaceAll('\t', '\\t')
    .replaceAll(quote, `\\${quote}`)
  return `${quote}${inner}${quote}`
}
