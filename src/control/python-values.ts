/** Python's `bool()`: false for None, False, 0, and empty texts, lists and dicts. Clients in Python send 1 and "yes" as flags. */
export function isTruthy(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return Boolean(value)
  return (Array.isArray(value) ? value : Object.keys(value)).length > 0
}

/** Celery's `maybe_list`: None is no value, and a value that is not a list is a list of one. */
export const listOf = (value: unknown): readonly unknown[] => (value == null ? [] : Array.isArray(value) ? value : [value])

/** The keys of a dict, or the items of a list: Python iterates over both. */
export const itemsOf = (value: unknown): readonly unknown[] =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.keys(value) : listOf(value)

export const isText = (value: unknown): value is string => typeof value === 'string' && value !== ''
