import { parseArgs } from 'node:util'
import { argumentsOf, ask, askOptions, listOf, type Signature } from './ask.ts'

const METHODS: Readonly<Record<string, Signature>> = {
  revoke: { args: [], rest: 'task_id', what: 'these tasks are not run any more; with --terminate also not to their end' },
  shutdown: { args: [], what: 'stops workers as SIGTERM does' },
  add_consumer: { args: ['queue'], what: 'takes from this queue too' },
  cancel_consumer: { args: ['queue'], what: 'takes from this queue no more' },
  pool_grow: { args: ['n'], required: 0, numbers: ['n'], what: 'more tasks at once (default 1)' },
  pool_shrink: { args: ['n'], required: 0, numbers: ['n'], what: 'fewer tasks at once (default 1)' },
  enable_events: { args: [], what: 'sends events, as worker --events does' },
  disable_events: { args: [], what: 'sends no events' },
  heartbeat: { args: [], what: 'sends one heartbeat' },
  rate_limit: { args: ['task_name', 'rate_limit'], what: 'at most so many of this task: 10/m; 0: no limit' },
  time_limit: {
    args: ['task_name', 'hard', 'soft'],
    required: 2,
    numbers: ['hard', 'soft'],
    what: 'seconds that this task may take',
  },
  autoscale: { args: ['max', 'min'], numbers: ['max', 'min'], what: 'Python workers only' },
  pool_restart: { args: [], what: 'Python workers only' },
}

export const help = `onedyno control: tells workers what to do. Celery's workers on the same broker obey too.

Usage: onedyno control [options] METHOD [arguments]

${listOf(METHODS)}

      --terminate       revoke: also aborts the signal of a running task
  -t, --timeout S       seconds to wait for answers (default 1)
  -d, --destination A,B only these workers; ends as soon as all of them have answered
  -j, --json            prints {worker: answer} as one line of JSON
  -h, --help            this text

Exit codes: 0 done · 1 a worker refused · 64 usage · 69 no worker, or no broker · 70 bug · 78 configuration`

/** Runs `onedyno control`. @returns the exit status */
export async function run(argv: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...argv],
    options: { ...askOptions, terminate: { type: 'boolean', default: false } },
    allowPositionals: true,
  })
  const asked = argumentsOf(METHODS, positionals)
  const given = asked.method === 'revoke' ? { ...asked.given, terminate: values.terminate, signal: 'SIGTERM' } : asked.given
  return ask({ ...asked, given }, values, env)
}
