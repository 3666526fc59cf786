/** Turns rows of equal length into the columns that `unnest` takes. PostgreSQL's text cannot hold NUL; it becomes U+FFFD. */
export function columnsOf(width: number, rows: Iterable<readonly unknown[]>): unknown[][] {
  const columns: unknown[][] = Array.from({ length: width }, () => [])
  for (const row of rows) for (let at = 0; at < width; at++) columns[at]?.push(storable(row[at]))
  return columns
}

/** Returns the ids without NUL. No row has an id with NUL, and PostgreSQL refuses a statement that contains NUL. */
export const storableIds = (ids: readonly string[]): string[] => ids.filter((id) => !id.includes('\0'))

/** Returns the value in a form that a text column can hold. */
export const storable = (value: unknown): unknown =>
  typeof value === 'string' && value.includes('\0') ? value.replaceAll('\0', '\uFFFD') : (value ?? null)
