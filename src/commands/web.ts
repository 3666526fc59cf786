import { parseArgs } from 'node:util'
import { chooseBroker } from '../broker/open-broker.ts'
import { createResults } from '../database/results.ts'
import { registerShippedTasks } from '../tasks/shipped.ts'
import { runWeb } from '../web/server.ts'
import { createBackend } from './backend.ts'
import { loadApp } from './load-app.ts'
import { logLevel } from './log-level.ts'
import { optionEnv } from './option-env.ts'
import { runRole } from './role.ts'
import { webStores } from './web-stores.ts'

export const help = `onedyno web: the form that runs a task now or on a schedule, and its status pages.

Usage: onedyno web [options]

  -p, --port PORT       where to listen (PORT, default 5000)
      --app FILE        module that exports your application (ONEDYNO_APP)
  -l, --loglevel LEVEL  debug, info, warn, error, silent (LOG_LEVEL, default info)
  -h, --help            this text

In production the pages stay closed until CONSOLE_PASSWORD is set; elsewhere they are open on 127.0.0.1.
Exit codes: 0 stopped when asked · 64 usage · 69 unavailable · 70 bug · 78 configuration`

/** Runs `onedyno web`. @returns the exit status */
export async function run(argv: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const { values } = parseArgs({
    args: [...argv],
    options: { port: { type: 'string', short: 'p' }, app: { type: 'string' }, loglevel: { type: 'string', short: 'l' } },
  })
  const given = optionEnv({ port: 'PORT' }, values)
  if (values.loglevel !== undefined) given.LOG_LEVEL = logLevel(values.loglevel)
  return runRole(
    'web',
    { ...env, ...given },
    async ({ config, log, database, signal, fail }) => {
      const app = await loadApp(values.app ?? config.appModule)
      const broker = await chooseBroker(database, config, { name: 'web', log, onRefused: fail })
      const results = createResults(database)
      registerShippedTasks(app, { config, log, results })
      app.connect(createBackend(database, broker, results))
      await runWeb({ config, log, app, database, ...webStores(database, broker, results), signal })
      await broker.close()
    },
    { beforeDatabase: true },
  )
}
