import { argumentsOf, ask, listOf, parseAsk, type Signature } from './ask.ts'

const METHODS: Readonly<Record<string, Signature>> = {
  ping: { args: [], what: 'who is there' },
  active: { args: [], what: 'tasks that run now' },
  reserved: { args: [], what: 'messages taken and not begun' },
  scheduled: { args: [], what: 'tasks that wait for their time in a worker (Python workers only: ours lie in the database)' },
  registered: { args: [], what: 'names of tasks' },
  stats: { args: [], what: 'counts, uptime, memory, broker' },
  active_queues: { args: [], what: 'queues that are taken from' },
  revoked: { args: [], what: 'ids that will not be run' },
  query_task: { args: [], rest: 'ids', what: 'where these tasks are' },
  conf: { args: [], what: 'settings, secrets masked' },
  report: { args: [], what: 'versions and settings, for a bug report' },
  clock: { args: [], what: 'the logical clock' },
}

export const help = `onedyno inspect: asks workers what they do. Celery's workers on the same broker answer too.

Usage: onedyno inspect [options] METHOD [arguments]

${listOf(METHODS)}

  -t, --timeout S       seconds to wait for answers (default 1)
  -d, --destination A,B only these workers; ends as soon as all of them have answered
  -j, --json            prints {worker: answer} as one line of JSON
  -h, --help            this text

Exit codes: 0 answered · 1 a worker answered with an error · 64 usage · 69 no worker, or no broker · 70 bug · 78 configuration`

/** Runs `onedyno inspect`. @returns the exit status */
export async function run(argv: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const { values, positionals } = parseAsk(argv)
  return ask(argumentsOf(METHODS, positionals), values, env)
}
