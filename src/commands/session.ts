import type { App } from '../app/app.ts'
import type { Broker } from '../broker/broker.ts'
import { chooseBroker } from '../broker/open-broker.ts'
import { waitAtMost } from '../concurrency/with-timeout.ts'
import { type Config, parseConfig } from '../config.ts'
import { createDatabase, type Database } from '../database/database.ts'
import { checkSchema } from '../database/migrate.ts'
import { createResults, type Results } from '../database/results.ts'
import { createLog, type Log } from '../log.ts'
import { registerShippedTasks } from '../tasks/shipped.ts'
import { createBackend } from './backend.ts'
import { CLOSING_MS } from './broker-answers.ts'
import { loadApp } from './load-app.ts'

/** The connections of a command that does one thing and ends. */
interface Session {
  readonly config: Config
  readonly database: Database
  readonly broker: Broker
  readonly results: Results
  readonly app: App
}

/**
 * Opens the connections, runs `work`, and closes the connections, also after a failure. Logs only problems, because stdout is
 * for the command's output.
 * @param appFile module of the application; default: ONEDYNO_APP
 * @throws AppError CONFIG_INVALID, APP_NOT_LOADED, DATABASE_UNREACHABLE, DATABASE_REFUSED, SCHEMA_OUTDATED, SCHEMA_TOO_NEW
 */
export async function withSession<T>(
  env: NodeJS.ProcessEnv,
  appFile: string | undefined,
  work: (session: Session) => Promise<T>,
): Promise<T> {
  const config = parseConfig(env)
  const log = quietLog(config, env)
  const app = await loadApp(appFile ?? config.appModule)
  const database = createDatabase(config, { name: 'command', log })
  let broker: Broker | undefined
  try {
    await database.ping()
    await checkSchema(database)
    broker = await chooseBroker(database, config, { name: 'command', log })
    const results = createResults(database)
    registerShippedTasks(app, { config, log, results })
    app.connect(createBackend(database, broker, results))
    return await work({ config, database, broker, results, app })
  } finally {
    if (broker !== undefined) await waitAtMost(broker.close(), CLOSING_MS)
    await database.close()
  }
}

/** Logs only problems unless LOG_LEVEL is set. Logs to stderr, because stdout is for the command's output. */
const quietLog = (config: Config, env: NodeJS.ProcessEnv): Log =>
  createLog(
    { level: env.LOG_LEVEL ? config.logLevel : 'warn', format: config.logFormat, stamp: config.logStamp },
    { write: (line) => void process.stderr.write(line) },
  )
