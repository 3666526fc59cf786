import { parseArgs } from 'node:util'
import { parseConfig } from '../config.ts'
import { migrate } from '../database/migrate.ts'
import { createLog } from '../log.ts'

export const help = `onedyno migrate: brings the database to this version; changes nothing if it is current.

Usage: onedyno migrate

Uses DATABASE_URL and DATABASE_SCHEMA. Two migrations at once wait for each other. On Heroku the \`release\` line of the Procfile runs it.
Exit codes: 0 done · 64 usage · 69 database unreachable · 70 bug · 78 configuration`

/** Runs `onedyno migrate`. @returns the exit status */
export async function run(argv: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  parseArgs({ args: [...argv], options: {} })
  const config = parseConfig(env)
  const log = createLog({ level: config.logLevel, format: config.logFormat })
  const applied = await migrate(config, log)
  log.info({ schema: config.databaseSchema, applied: applied.length }, 'schema is current')
  return 0
}
