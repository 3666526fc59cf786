import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { packageRoot } from '../package-root.ts'

/** A prepared statement: its name is its file's, so the server plans it once per connection. */
export interface Statement {
  readonly name: string
  readonly text: string
}

const cache = new Map<string, Statement>()

/** The statement in `sql/queries/<name>.sql`, read once. A test prepares every file against the migrated schema. */
export function sql(name: string): Statement {
  const known = cache.get(name)
  if (known !== undefined) return known
  const statement = { name, text: readFileSync(join(packageRoot, 'sql', 'queries', `${name}.sql`), 'utf8') }
  cache.set(name, statement)
  return statement
}
