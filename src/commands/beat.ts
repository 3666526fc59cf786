import { hostname } from 'node:os'
import { parseArgs } from 'node:util'
import { type Beat, startBeat } from '../beat/beat.ts'
import { seedsOf } from '../beat/seeds.ts'
import { chooseBroker } from '../broker/open-broker.ts'
import { startOutboxRelay } from '../broker/outbox/relay.ts'
import { aborted } from '../concurrency/sleep.ts'
import { createBeatSchedules } from '../database/beat-schedules.ts'
import { startStep } from '../database/start-step.ts'
import { logLevel } from './log-level.ts'
import { type Role, runRole } from './role.ts'

export const help = `onedyno beat: sends periodic tasks when their time has come.

Usage: onedyno beat [options]

  -l, --loglevel LEVEL  debug, info, warn, error, silent (LOG_LEVEL, default info)
  -h, --help            this text

Any number of beats may run at once: each tick is sent exactly once. Schedules are rows of the table schedule; a change takes effect at once.
Exit codes: 0 stopped when asked · 64 usage · 69 unavailable · 70 bug · 78 configuration`

/** Runs `onedyno beat`. @returns the exit status */
export async function run(argv: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const { values } = parseArgs({ args: [...argv], options: { loglevel: { type: 'string', short: 'l' } } })
  const given = values.loglevel === undefined ? {} : { LOG_LEVEL: logLevel(values.loglevel) }
  return runRole('beat', { ...env, ...given }, async (role) => {
    const { config, log, database, signal, fail } = role
    const broker = await chooseBroker(database, config, { name: 'beat', log, onRefused: fail })
    const relay = await startOutboxRelay(database, broker, log)
    const beat = await startBeatBeside(role)
    await aborted(signal)
    await beat.stop()
    await relay.stop()
    await broker.close()
    log.info('beat stopped')
  })
}

/** Starts beat in a process that already has its connections and its outbox relay: `onedyno beat` or `worker --beat`. */
export async function startBeatBeside({
  config,
  log,
  database,
  signal,
}: Pick<Role, 'config' | 'log' | 'database' | 'signal'>): Promise<Beat> {
  const schedules = createBeatSchedules(database)
  const { seeds, keepAwake } = seedsOf(config)
  await startStep(() => schedules.seed(seeds), signal)
  log.info({ keepAwake, timezone: config.beatTimezone }, 'beat ready')
  return startBeat(database, schedules, { log, host: `${hostname()}:${process.pid}` })
}
