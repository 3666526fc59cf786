import { randomBytes } from 'node:crypto'
import { Client } from 'pg'
import { inject } from 'vitest'
import { type Config, parseConfig } from '../../src/config.ts'
import { createDatabase, type Database } from '../../src/database/database.ts'
import { migrate } from '../../src/database/migrate.ts'
import { type Log, silentLog } from '../../src/log.ts'

export interface TestSchema {
  readonly url: string
  readonly schema: string
  /** DATABASE_URL and DATABASE_SCHEMA for a child process. */
  readonly env: Record<string, string>
  readonly config: Config
  /** Opens another connection pool to the schema. `drop` closes it. */
  open(options?: { log?: Log; env?: Record<string, string>; name?: string }): Database
  /** Closes all pools and drops the schema. */
  drop(): Promise<void>
}

/** Creates a migrated schema on the server of this run. */
export async function createTestSchema(options: { migrated?: boolean; url?: string } = {}): Promise<TestSchema> {
  const url = options.url ?? inject('databaseUrl')
  const schema = `test_${randomBytes(6).toString('hex')}`
  const env = { DATABASE_URL: url, DATABASE_SCHEMA: schema, PUBLISH_TIMEOUT: '10' }
  const config = parseConfig(env)
  if (options.migrated !== false) await migrate(config, silentLog())
  const opened: Database[] = []
  return {
    url,
    schema,
    env,
    config,
    open({ log = silentLog(), env: more = {}, name = 'test' } = {}) {
      const database = createDatabase(parseConfig({ ...env, ...more }), { name, log })
      opened.push(database)
      return database
    },
    async drop() {
      for (const database of opened) await database.close()
      await query(url, `DROP SCHEMA IF EXISTS "${schema}" CASCADE`)
    },
  }
}

/** Runs one statement on a new connection. */
export async function query(url: string, text: string, values: unknown[] = []): Promise<Record<string, unknown>[]> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query(text, values)).rows as Record<string, unknown>[]
  } finally {
    await client.end()
  }
}
