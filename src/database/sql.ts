import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { packageRoot } from '../package-root.ts'

/** A prepared statement. The server plans it once per connection and name. The text names tables as `{schema}.message`. */
export interface Statement {
  readonly name: string
  readonly text: string
}

/** A statement whose tables carry the name of their schema, so that it runs on any connection, with any search_path. */
export type QualifiedStatement = Statement

const cache = new Map<string, Statement>()

/** Reads `sql/queries/<name>.sql` once. A test prepares every file against the migrated schema. */
export function sql(name: string): Statement {
  const known = cache.get(name)
  if (known !== undefined) return known
  const statement = { name, text: readFileSync(join(packageRoot, 'sql', 'queries', `${name}.sql`), 'utf8') }
  cache.set(name, statement)
  return statement
}

/**
 * Fills `{schema}` in, once per statement. The text then stays constant for the life of the process, because the server refuses
 * another text under the name of a prepared statement.
 */
export function createQualifier(schema: string): (statement: Statement) => QualifiedStatement {
  const filled = new WeakMap<Statement, QualifiedStatement>()
  const identifier = `"${schema.replaceAll('"', '""')}"`
  return (statement) => {
    const known = filled.get(statement)
    if (known !== undefined) return known
    const qualified = { name: statement.name, text: statement.text.replaceAll('{schema}', identifier) }
    filled.set(statement, qualified)
    return qualified
  }
}
