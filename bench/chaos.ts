/**
 * `npm run chaos [amqp|redis|postgres …]`: three producers send 20,000 tasks to two workers. Every two seconds one worker is
 * killed with -9, and every server is killed and restarted ten times. Then the script counts how many tasks are recorded,
 * missing, or recorded twice. It touches only servers that it started itself.
 */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { createRegistry } from '../src/app/app.ts'
import { chooseBroker } from '../src/broker/open-broker.ts'
import { createBackend } from '../src/commands/backend.ts'
import { parseConfig } from '../src/config.ts'
import { createDatabase } from '../src/database/database.ts'
import { migrate } from '../src/database/migrate.ts'
import { createResults } from '../src/database/results.ts'
import { silentLog } from '../src/log.ts'
import { type ChaosServer, startPostgres, startRabbit, startRedis } from './chaos-servers.ts'
import { root, run, stop } from './setup.ts'

const TASKS = Number(process.env.CHAOS_TASKS ?? 20_000)
const RESTARTS = Number(process.env.CHAOS_RESTARTS ?? 10)
const PRODUCERS = 3
const KILL_EVERY_MS = 2000
const UP_BETWEEN_MS = 3000
/** Time limit for the last tasks. A task without an outcome after it counts as lost. */
const WITHOUT_PROGRESS_MS = 60_000

const say = (text: string) => process.stdout.write(`${text}\n`)

const asked = process.argv.slice(2)
for (const kind of asked.length > 0 ? asked : ['postgres', 'amqp', 'redis']) await chaos(kind)

async function chaos(kind: string): Promise<void> {
  const postgres = await startPostgres()
  const servers: ChaosServer[] = [postgres]
  const ended = new AbortController()
  let workers: Promise<number> = Promise.resolve(0)
  const env: Record<string, string> = { DATABASE_URL: postgres.url, LOG_LEVEL: 'warn' }
  try {
    if (kind === 'amqp') env.AMQP_URL = servers[servers.push(await startRabbit()) - 1]!.url
    if (kind === 'redis') env.REDIS_URL = servers[servers.push(await startRedis()) - 1]!.url
    await surely(() => migrate(parseConfig(env), silentLog()))
    await surely(() => watchOutcomes(env))
    const beganAt = performance.now()
    workers = keepWorkers(env, ended.signal)
    const restarts = restartAll(servers)
    await Promise.all([restarts, ...Array.from({ length: PRODUCERS }, (_, number) => produce(number, env, restarts))])
    const figures = await settle(env)
    ended.abort()
    const kills = await workers
    const seconds = ((performance.now() - beganAt) / 1000).toFixed(0)
    say(
      `${kind}: ${TASKS} tasks, ${servers.map(({ name }) => `${name} restarted ${RESTARTS} times`).join(', ')}, workers killed ${kills} times, ${seconds} s`,
    )
    say(
      `  recorded ${figures.recorded}, succeeded ${figures.succeeded}, missing ${TASKS - figures.recorded}, recorded twice ${figures.twice}, left in queue or outbox ${figures.left}`,
    )
    if (figures.failed !== null) say(`  not succeeded, for example: ${figures.failed}`)
    if (figures.succeeded !== TASKS || figures.twice !== 0 || figures.left !== 0) process.exitCode = 1
  } finally {
    ended.abort()
    await workers
    for (const server of servers.reverse()) await server.stop()
  }
}

/** Restarts the servers one after the other, with pauses for work in between. */
async function restartAll(servers: readonly ChaosServer[]): Promise<void> {
  for (let time = 0; time < RESTARTS; time++) {
    for (const server of servers) {
      await delay(UP_BETWEEN_MS)
      await server.restart()
    }
  }
}

/**
 * Sends a third of the tasks, spread over the time of the restarts. A rejected call is repeated with the same id, as a careful
 * caller does.
 */
async function produce(number: number, env: Record<string, string>, restarts: Promise<void>): Promise<void> {
  const config = parseConfig(env)
  const database = createDatabase(config, { name: 'producer', log: silentLog() })
  const broker = await chooseBroker(database, config, { name: 'producer', log: silentLog() })
  const app = createRegistry(async () => createBackend(database, broker, createResults(database)))
  let calm = false
  void restarts.then(() => {
    calm = true
  })
  for (let index = number; index < TASKS; index += PRODUCERS * 10) {
    const calls = Array.from({ length: 10 }, (_, step) => index + step * PRODUCERS).filter((each) => each < TASKS)
    await Promise.all(calls.map((each) => surely(() => app.sendTask('tasks.echo', [each], { taskId: `chaos-${each}` }))))
    if (!calm) await delay(60)
  }
  await broker.close()
  await database.close()
}

/** Retries, because the server may still be starting. */
async function surely<T>(work: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await work()
    } catch {
      await delay(200)
    }
  }
}

/** @returns number of kills */
async function keepWorkers(env: Record<string, string>, signal: AbortSignal): Promise<number> {
  const start = () => run(['dist/src/main.js', 'worker', '-c', '10'], env, root)
  const steady = start()
  let victim: ChildProcess = start()
  let kills = 0
  while (!signal.aborted) {
    await delay(KILL_EVERY_MS, undefined, { signal }).catch(() => {})
    if (signal.aborted) break
    victim.kill('SIGKILL')
    if (victim.exitCode === null && victim.signalCode === null) await once(victim, 'close')
    kills++
    victim = start()
  }
  await Promise.all([stop(steady), stop(victim)])
  return kills
}

/** A task has one row, so "recorded twice" means that a final outcome was overwritten. A trigger in the database counts these. */
async function watchOutcomes(env: Record<string, string>): Promise<void> {
  const database = createDatabase(parseConfig(env), { name: 'watch', log: silentLog() })
  const text = `CREATE TABLE IF NOT EXISTS {schema}.chaos_twice (id text);
    CREATE OR REPLACE FUNCTION {schema}.chaos_twice() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO {schema}.chaos_twice VALUES (OLD.id); RETURN NEW; END $$;
    CREATE OR REPLACE TRIGGER chaos_twice AFTER UPDATE OR DELETE ON {schema}.task_result FOR EACH ROW WHEN (OLD.done_at IS NOT NULL) EXECUTE FUNCTION {schema}.chaos_twice()`
  try {
    for (const statement of text.split(/;\n/)) await database.query({ name: '', text: statement })
  } finally {
    await database.close()
  }
}

interface Figures {
  readonly recorded: number
  readonly succeeded: number
  readonly twice: number
  /** Errors of the tasks that did not succeed. */
  readonly failed: string | null
  readonly left: number
}

async function settle(env: Record<string, string>): Promise<Figures> {
  const config = parseConfig(env)
  const database = createDatabase(config, { name: 'count', log: silentLog() })
  const broker = await chooseBroker(database, config, { name: 'count', log: silentLog() })
  const text = `SELECT count(*)::int AS recorded, count(*) FILTER (WHERE state = 'SUCCESS')::int AS succeeded,
    min(concat_ws(' ', id, state, result)) FILTER (WHERE state <> 'SUCCESS') AS failed,
    (SELECT count(*)::int FROM {schema}.chaos_twice) AS twice, (SELECT count(*)::int FROM {schema}.outbox) AS kept FROM {schema}.task_result WHERE id LIKE 'chaos-%' AND done_at IS NOT NULL`
  let best = 0
  let giveUpAt = performance.now() + WITHOUT_PROGRESS_MS
  for (;;) {
    const [row] = await surely(() => database.query<Omit<Figures, 'left'> & { kept: number }>({ name: 'count', text }))
    const [depth] = await surely(() => broker.depths(['celery']))
    if ((row?.recorded ?? 0) > best) giveUpAt = performance.now() + WITHOUT_PROGRESS_MS
    best = row?.recorded ?? best
    const left = (row?.kept ?? 0) + (depth?.ready ?? 0) + (depth?.running ?? 0)
    if ((row?.recorded === TASKS && left === 0) || performance.now() > giveUpAt) {
      await broker.close()
      await database.close()
      const { recorded = 0, succeeded = 0, twice = 0, failed = null } = row ?? {}
      return { recorded, succeeded, twice, failed, left }
    }
    await delay(100)
  }
}
