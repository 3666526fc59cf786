import { arch, platform, release } from 'node:os'
import { parseArgs } from 'node:util'
import { parseConfig } from '../config.ts'
import { sql } from '../database/sql.ts'
import { maskUrl } from '../log-text.ts'
import { OPTIONS } from '../options.ts'
import { packageVersion } from '../package-root.ts'
import { brokerAnswers } from './broker-answers.ts'
import { knownDepths } from './queue-depths.ts'
import { withSession } from './session.ts'

export const help = `onedyno report: prints versions, settings and reachable services, for a bug report. Secrets are masked.

Usage: onedyno report [--app FILE]

      --app FILE        module that exports your application (ONEDYNO_APP)
  -h, --help            this text

Exit codes: 0 all services answered · 69 one did not · 64 usage · 70 bug · 78 configuration`

/** Runs `onedyno report`. @returns the exit status */
export async function run(argv: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const { values } = parseArgs({ args: [...argv], options: { app: { type: 'string' } } })
  const config = parseConfig(env)
  const say = (name: string, value: unknown) => process.stdout.write(`${`${name}:`.padEnd(14)} ${value}\n`)
  say('onedyno', packageVersion())
  say('node', `${process.versions.node} on ${platform()} ${release()} ${arch()}`)
  say('platform', config.platform)
  say('broker', `${config.broker.kind} (${config.broker.why})`)
  for (const [name, value] of settings(env)) say(name, value)
  try {
    await withSession(env, values.app, async ({ app, broker, database }) => {
      const [server] = await database.query<{ version: string }>(sql('server-version'))
      say('postgresql', server?.version)
      say('tasks', [...app.tasks.keys()].join(', '))
      for (const { queue, ready, running = '?' } of await brokerAnswers(config, knownDepths(broker)(config.queues)))
        say('queue', `${queue}: ${ready} ready, ${running} running`)
    })
    return 0
  } catch (error) {
    say('error', (error as Error).message)
    return 69
  }
}

/** Returns the variables that are set, without passwords and tokens. */
function settings(env: NodeJS.ProcessEnv): [string, string][] {
  return Object.entries(OPTIONS).flatMap(([name, { unit }]): [string, string][] => {
    const value = env[name]
    if (value === undefined || value === '') return []
    return [[name, unit === 'secret' ? '(set)' : unit === 'URL' || value.includes('://') ? maskUrl(value) : value]]
  })
}
