/** Rows of equal length as the columns that `unnest` takes. NUL, which PostgreSQL's text cannot hold, is shown as U+FFFD. */
export function columnsOf(width: number, rows: Iterable<readonly unknown[]>): unknown[][] {
  const columns: unknown[][] = Array.from({ length: width }, () => [])
  for (const row of rows) for (let at = 0; at < width; at++) columns[at]?.push(storable(row[at]))
  return columns
}

/** Of an id with NUL nothing is stored, because no column takes it; nor may a statement ask for it. */
export const storableIds = (ids: readonly string[]): string[] => ids.filter((id) => !id.includes('\0'))

/** A value as a column of text takes it. */
export const storable = (value: unknown): unknown =>
  typeof value === 'string' && value.includes('\0') ? value.replaceAll('\0', '\uFFFD') : (value ?? null)
