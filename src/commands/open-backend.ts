import type { Backend } from '../app/app.ts'
import { chooseBroker } from '../broker/open-broker.ts'
import { parseConfig } from '../config.ts'
import { createDatabase } from '../database/database.ts'
import { checkSchema } from '../database/migrate.ts'
import { createResults } from '../database/results.ts'
import { createLog } from '../log.ts'
import { createBackend } from './backend.ts'

/** Opens connections for a program that sends tasks: a script, another web application, a test. */
export async function openBackend(env: NodeJS.ProcessEnv): Promise<Backend> {
  const config = parseConfig(env)
  // The output belongs to the program, so only warnings and errors are logged, unless LOG_LEVEL is set.
  const level = env.LOG_LEVEL ? config.logLevel : 'warn'
  const log = createLog({ level, format: config.logFormat, stamp: config.logStamp })
  const database = createDatabase(config, { name: 'client', log })
  const broker = await chooseBroker(database, config, { name: 'client', log })
  try {
    await checkSchema(database)
  } catch (error) {
    await database.close()
    throw error
  }
  return createBackend(database, broker, createResults(database), async () => {
    await broker.close()
    await database.close()
  })
}
