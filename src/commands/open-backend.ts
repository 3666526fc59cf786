import type { Backend } from '../app/app.ts'
import { chooseBroker } from '../broker/open-broker.ts'
import { retry } from '../concurrency/retry.ts'
import { isTransient } from '../concurrency/transient.ts'
import { waitAtMost } from '../concurrency/with-timeout.ts'
import { parseConfig } from '../config.ts'
import { createDatabase, type Database } from '../database/database.ts'
import { checkSchema } from '../database/migrate.ts'
import { createResults } from '../database/results.ts'
import { AppError } from '../errors.ts'
import { createLog } from '../log.ts'
import { createBackend } from './backend.ts'
import { CLOSING_MS } from './broker-answers.ts'

const BACKOFF = { firstMs: 50, maxMs: 1000 }

/**
 * Opens connections for a program that sends tasks: a script, another web application, a test.
 * @throws AppError BROKER_UNREACHABLE if the database did not answer within PUBLISH_TIMEOUT, DATABASE_REFUSED, SCHEMA_OUTDATED,
 * SCHEMA_TOO_NEW
 */
export async function openBackend(env: NodeJS.ProcessEnv): Promise<Backend> {
  const config = parseConfig(env)
  // The output belongs to the program, so only warnings and errors are logged, unless LOG_LEVEL is set.
  const level = env.LOG_LEVEL ? config.logLevel : 'warn'
  const log = createLog({ level, format: config.logFormat, stamp: config.logStamp })
  const database = createDatabase(config, { name: 'client', log })
  const broker = await chooseBroker(database, config, { name: 'client', log })
  try {
    await databaseReady(database, config.publishTimeoutMs)
  } catch (error) {
    await waitAtMost(broker.close(), CLOSING_MS)
    await database.close()
    throw error
  }
  return createBackend(database, broker, createResults(database), async () => {
    await broker.close()
    await database.close()
  })
}

/** The first call of a process waits as long as every later one. */
async function databaseReady(database: Database, giveUpAfterMs: number): Promise<void> {
  try {
    await retry(() => checkSchema(database), { ...BACKOFF, isRetryable: isTransient, giveUpAfterMs })
  } catch (cause) {
    if (!isTransient(cause)) throw cause
    throw new AppError('BROKER_UNREACHABLE', `PostgreSQL does not answer: ${(cause as Error).message}`, { cause })
  }
}
