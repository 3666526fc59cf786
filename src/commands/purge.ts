import { parseArgs } from 'node:util'
import { AppError } from '../errors.ts'
import { brokerAnswers } from './broker-answers.ts'
import { confirm } from './confirm.ts'
import { withSession } from './session.ts'

export const help = `onedyno purge: deletes the messages that wait in queues. This cannot be undone; running tasks go on.

Usage: onedyno purge [--force] QUEUE …

  -f, --force           does not ask
  -h, --help            this text

Messages that are not yet due (countdown, eta, retries) are not in a queue and stay: see onedyno revoke.
Exit codes: 0 done · 1 answered with no · 64 usage · 69 unavailable · 70 bug · 78 configuration`

/** Runs `onedyno purge`. @returns the exit status */
export async function run(argv: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const options = { force: { type: 'boolean', short: 'f', default: false } } as const
  const { values, positionals: queues } = parseArgs({ args: [...argv], options, allowPositionals: true })
  if (queues.length === 0) throw new AppError('USAGE', 'purge takes the names of queues')
  return withSession(env, undefined, async ({ config, broker }) => {
    const depths = await brokerAnswers(config, broker.depths(queues))
    const ready = depths.reduce((sum, depth) => sum + depth.ready, 0)
    if (!values.force && !(await confirm(`Delete ${ready} waiting messages of ${queues.join(', ')}?`))) return 1
    for (const queue of queues)
      process.stdout.write(`${queue}: ${await brokerAnswers(config, broker.purge(queue))} messages deleted\n`)
    return 0
  })
}
