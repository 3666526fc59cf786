import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { Client } from 'pg'
import type { Config } from '../config.ts'
import { AppError } from '../errors.ts'
import type { Log } from '../log.ts'
import { packageRoot } from '../package-root.ts'
import { connectionOptions } from './connection-options.ts'
import type { Queryable } from './database.ts'

const folder = () => join(packageRoot, 'sql', 'migrations')

/** The migrations of this version: file names without `.sql`, in order. */
export const migrationNames = (): string[] =>
  readdirSync(folder())
    .filter((file) => file.endsWith('.sql'))
    .map((file) => file.slice(0, -4))
    .sort()

/**
 * Applies missing migrations, each in one transaction, and creates the schema if it is missing. An advisory lock makes concurrent calls wait
 * for each other.
 * @throws AppError DATABASE_UNREACHABLE if the server does not answer
 * @returns the names of the applied migrations
 */
export async function migrate(config: Config, log: Pick<Log, 'info' | 'warn' | 'error'>): Promise<string[]> {
  const { decision, ...connection } = connectionOptions(config, 'migrate')
  const client = new Client(connection)
  client.on('error', () => {})
  try {
    await client.connect()
  } catch (cause) {
    throw new AppError('DATABASE_UNREACHABLE', `cannot migrate: ${(cause as Error).message}`, { cause })
  }
  try {
    // The lock of node-pg-migrate fails at once instead of waiting, so it is switched off.
    await client.query("SELECT pg_advisory_lock(hashtext('onedyno migrate'), hashtext($1))", [config.databaseSchema])
    if (await isCurrent(client, config.databaseSchema)) return []
    const { runner } = await import('node-pg-migrate')
    const applied = await runner({
      dbClient: client,
      dir: join(folder(), '*.sql'),
      useGlob: true,
      direction: 'up',
      migrationsTable: 'migration',
      schema: config.databaseSchema,
      createSchema: true,
      noLock: true,
      checkOrder: true,
      logger: { debug: () => {}, info: () => {}, warn: (message) => log.warn(message), error: (message) => log.error(message) },
    })
    for (const { name } of applied) log.info({ migration: name, schema: config.databaseSchema }, 'migrated')
    return applied.map(({ name }) => name)
  } finally {
    await client.end().catch(() => {})
  }
}

async function isCurrent(client: Client, schema: string): Promise<boolean> {
  const { rows } = await client.query("SELECT to_regclass(format('%I.migration', $1::text)) IS NOT NULL AS there", [schema])
  if (rows[0].there !== true) return false
  const done = await client.query(`SELECT name FROM ${client.escapeIdentifier(schema)}.migration`)
  const names = new Set(done.rows.map(({ name }) => name))
  return migrationNames().every((name) => names.has(name))
}

/**
 * Checks that the schema has this version. Every role calls it before its work.
 * @throws AppError SCHEMA_OUTDATED, SCHEMA_TOO_NEW
 */
export async function checkSchema(database: Queryable & { schema: string }): Promise<void> {
  const there = await database.query<{ there: boolean }>({
    name: 'migration-table',
    text: "SELECT to_regclass('{schema}.migration') IS NOT NULL AS there",
  })
  const done = there[0]?.there
    ? await database.query<{ name: string }>({ name: 'migration-names', text: 'SELECT name FROM {schema}.migration' })
    : []
  const applied = new Set(done.map(({ name }) => name))
  const known = migrationNames()
  const missing = known.filter((name) => !applied.has(name))
  if (missing.length > 0) throw new AppError('SCHEMA_OUTDATED', `schema "${database.schema}" lacks ${missing.join(', ')}`)
  const unknown = [...applied].filter((name) => !known.includes(name))
  if (unknown.length > 0) throw new AppError('SCHEMA_TOO_NEW', `schema "${database.schema}" already has ${unknown.join(', ')}`)
}
