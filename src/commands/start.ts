import { join } from 'node:path'
import type { Attach } from '../../supervisor/supervise.ts'
import type { Log } from '../log.ts'
import { renderText } from '../log-text.ts'

type Env = Readonly<Record<string, string | undefined>>

/** Matches a Procfile line that runs a role of onedyno: `onedyno worker …`, `node dist/src/main.js web`, `npx onedyno beat`. */
const RUNS_A_ROLE = /(?:^|[\s/])(?:onedyno|main\.[jt]s)\s+(?:web|worker|beat)\b/

/**
 * Starts the embedded PostgreSQL before the processes of the Procfile, if DATABASE_URL is not set and a line runs a role of
 * onedyno. Any other Procfile gets only the supervisor.
 */
export function attachDatabase(cwd: string): (entries: readonly { readonly command: string }[], env: Env) => Attach | undefined {
  return (entries, env) => {
    if ((env.DATABASE_URL ?? '') !== '' || !entries.some(({ command }) => RUNS_A_ROLE.test(command))) return undefined
    return async (host) => {
      const say = host.log('postgres')
      const note = (message: string, fields: object = {}) =>
        say(Buffer.from(renderText(JSON.stringify({ level: 'info', msg: message, ...fields }), false)))
      const { startEmbedded } = await import('../embedded/embedded.ts')
      const { parseConfig } = await import('../config.ts')
      const config = parseConfig(env)
      if (config.platform !== 'none')
        note('DATABASE_URL is not set, the data are on the disk of this machine and are lost with it', {
          platform: config.platform,
        })
      const server = await startEmbedded({ dataDir: join(cwd, '.onedyno'), log: say, note, signal: host.signal, env })
      try {
        const { migrate } = await import('../database/migrate.ts')
        await migrate({ ...config, databaseUrl: server.url }, noteLog(note))
      } catch (error) {
        await server.stop()
        throw error
      }
      return { env: { DATABASE_URL: server.url }, stop: server.stop }
    }
  }
}

/**
 * Returns the database and the broker that the roles of this Procfile will use, and the reasons, for `onedyno check`.
 * @throws AppError CONFIG_INVALID, BROKER_CLIENT_MISSING
 */
export async function describeServers(entries: readonly { readonly command: string }[], env: Env): Promise<readonly string[]> {
  if (!entries.some(({ command }) => RUNS_A_ROLE.test(command))) return []
  const [{ parseConfig }, { maskUrl }, { checkRedisClient }] = await Promise.all([
    import('../config.ts'),
    import('../log-text.ts'),
    import('../broker/redis/client.ts'),
  ])
  const config = parseConfig(env)
  const { databaseUrl, databaseSchema, broker } = config
  const database =
    databaseUrl === undefined
      ? 'DATABASE_URL is not set, `onedyno start` brings its own PostgreSQL'
      : `${maskUrl(databaseUrl)} schema=${databaseSchema}`
  checkRedisClient(config)
  const urls = broker.kind === 'amqp' ? [broker.publishUrl, broker.consumeUrl] : broker.kind === 'redis' ? [broker.url] : []
  const isGuess = broker.kind === 'redis' && (env.ONEDYNO_BROKER ?? 'auto') === 'auto'
  const why = isGuess ? `${broker.why}; if this Redis is only a cache, set ONEDYNO_BROKER=postgres` : broker.why
  return [`Database: ${database}`, `Broker: ${[broker.kind, ...new Set(urls.map(maskUrl))].join(' ')} (${why})`]
}

/** Returns a log that passes the migration's lines to `note`, so that the supervisor need not load pino for three lines. */
function noteLog(note: (message: string, fields?: object) => void): Pick<Log, 'info' | 'warn' | 'error'> {
  const say = (first: unknown, message?: string) =>
    typeof first === 'string' ? note(first) : note(message ?? '', first as object)
  return { info: say, warn: say, error: say } as Pick<Log, 'info' | 'warn' | 'error'>
}
