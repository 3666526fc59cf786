import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Client } from 'pg'
import { isReadOnly } from '../concurrency/transient.ts'
import type { Config } from '../config.ts'
import { AppError } from '../errors.ts'
import type { Log } from '../log.ts'
import { packageRoot } from '../package-root.ts'
import { connectionOptions } from './connection-options.ts'
import type { Queryable } from './database.ts'
import { openSession, prepareSession } from './sessions.ts'

/**
 * The table of the migration library, with one row for each applied migration. See 0004_compatible-since.sql for the other two
 * tables.
 */
const APPLIED = 'applied_migration'

const folder = () => join(packageRoot, 'sql', 'migrations')

/** Returns the migrations of this release in order: file names without `.sql`. */
export const migrationNames = (): string[] =>
  readdirSync(folder())
    .filter((file) => file.endsWith('.sql'))
    .map((file) => file.slice(0, -4))
    .sort()

/**
 * Applies the migrations that the schema lacks, in one transaction, and creates the schema if it is missing. If two processes migrate at
 * once, the second one waits for the first (an advisory lock).
 * @throws AppError DATABASE_UNREACHABLE if the server does not answer, DATABASE_REFUSED, DATABASE_READ_ONLY
 * @returns the names of the migrations that were applied
 */
export async function migrate(config: Config, log: Pick<Log, 'info' | 'warn' | 'error'>): Promise<string[]> {
  const { decision, SessionClient, ...connection } = connectionOptions(config, 'migrate')
  const client = new SessionClient(connection)
  client.on('error', () => {})
  try {
    await openSession(() => client.connect())
  } catch (cause) {
    if (cause instanceof AppError) throw cause
    throw new AppError('DATABASE_UNREACHABLE', `cannot migrate: ${(cause as Error).message}`, { cause })
  }
  try {
    await prepareSession(client)
    // The library's own lock is off, because it fails at once instead of waiting.
    await client.query("SELECT pg_advisory_lock(hashtext('onedyno migrate'), hashtext($1))", [config.databaseSchema])
    if (await isCurrent(client, config.databaseSchema)) return []
    const { runner } = await import('node-pg-migrate')
    const applied = await runner({
      dbClient: client,
      dir: join(folder(), '*.sql'),
      useGlob: true,
      direction: 'up',
      migrationsTable: APPLIED,
      schema: config.databaseSchema,
      createSchema: true,
      noLock: true,
      checkOrder: true,
      logger: { debug: () => {}, info: () => {}, warn: (message) => log.warn(message), error: (message) => log.error(message) },
    })
    for (const { name } of applied) log.info({ migration: name, schema: config.databaseSchema }, 'migrated')
    return applied.map(({ name }) => name)
  } catch (cause) {
    if (!isReadOnly(cause)) throw cause
    throw new AppError('DATABASE_READ_ONLY', `cannot migrate: ${(cause as Error).message}`, { cause })
  } finally {
    await client.end().catch(() => {})
  }
}

/**
 * Returns true if no migration is missing. Copies the migrations that an earlier release recorded to the table that the library
 * reads.
 */
async function isCurrent(client: Client, schema: string): Promise<boolean> {
  const name = client.escapeIdentifier(schema)
  const exists = async (table: string): Promise<boolean> => {
    const { rows } = await client.query("SELECT to_regclass(format('%I.%I', $1::text, $2::text)) IS NOT NULL AS found", [
      schema,
      table,
    ])
    return rows[0].found
  }
  if (!(await exists(APPLIED))) {
    if (!(await exists('migration'))) return false
    await client.query(`CREATE TABLE ${name}.${APPLIED} (id serial PRIMARY KEY, name varchar(255) NOT NULL, run_on timestamp NOT NULL);
      INSERT INTO ${name}.${APPLIED} (name, run_on) SELECT name, run_on FROM ${name}.migration ORDER BY id`)
  }
  const { rows } = await client.query(`SELECT name FROM ${name}.${APPLIED}`)
  const names = new Set(rows.map((row) => row.name))
  return migrationNames().every((each) => names.has(each))
}

/**
 * Checks that this release can work with the schema. Each role calls this before its work. If a later release has migrated the
 * schema, it is accepted only if each further migration is compatible with a migration of this release.
 * @throws AppError SCHEMA_OUTDATED, SCHEMA_TOO_NEW
 */
export async function checkSchema(database: Queryable & { schema: string }): Promise<void> {
  const applied = new Map((await appliedMigrations(database)).map(({ name, since }) => [name, since]))
  const known = migrationNames()
  const missing = known.filter((name) => !applied.has(name))
  if (missing.length > 0) throw new AppError('SCHEMA_OUTDATED', `schema "${database.schema}" lacks ${missing.join(', ')}`)
  const tooNew = [...applied].filter(([name, since]) => !known.includes(name) && !known.includes(since ?? name))
  if (tooNew.length === 0) return
  const names = tooNew.map(([name, since]) => (since === null ? name : `${name} (which needs a release with ${since})`))
  throw new AppError('SCHEMA_TOO_NEW', `schema "${database.schema}" already has ${names.join(', ')}`)
}

interface AppliedMigration {
  readonly name: string
  /**
   * The oldest migration that a release must have to work with this migration. null: a release must have this migration itself.
   */
  readonly since: string | null
}

async function appliedMigrations(database: Queryable): Promise<AppliedMigration[]> {
  const [found] = await database.query<{ first: boolean; later: boolean }>({
    name: 'migration-tables',
    text: `SELECT to_regclass('{schema}.migration') IS NOT NULL AS first,
                  to_regclass('{schema}.compatible_migration') IS NOT NULL AS later`,
  })
  if (found?.later)
    return database.query<{ name: string; since: string | null }>({
      name: 'migrations-applied',
      text: `SELECT name, since FROM (SELECT name FROM {schema}.applied_migration UNION SELECT name FROM {schema}.migration) AS applied
               LEFT JOIN {schema}.compatible_migration USING (name) ORDER BY name`,
    })
  if (!found?.first) return []
  return database.query<{ name: string; since: null }>({
    name: 'migrations-of-first-release',
    text: 'SELECT name, NULL AS since FROM {schema}.migration ORDER BY name',
  })
}
