import { parseArgs } from 'node:util'
import { createRevocations } from '../database/revocations.ts'
import { AppError } from '../errors.ts'
import { createRevoke } from './revoke-everywhere.ts'
import { withSession } from './session.ts'

export const help = `onedyno revoke: keeps tasks from running. Revocations are stored for seven days and hold for workers that start later too.
On RabbitMQ and Redis, Celery's workers that run now receive the ids as well.

Usage: onedyno revoke [--terminate] ID …
       onedyno revoke [--terminate] --task NAME | --schedule NAME
       onedyno revoke --undo --task NAME
       onedyno revoke --list

      --task NAME       all tasks of this name that were sent until now
      --schedule NAME   all runs of this schedule that have not ended; the schedule itself goes on
      --terminate       also ends running ones: their signal aborts, their thread ends
      --undo            lets tasks of this name run again
      --list            lists revocations, one per line, newest first
  -h, --help            this text

Exit codes: 0 done · 1 nothing to revoke or to undo · 64 usage · 69 unavailable · 70 bug · 78 configuration`

const OPTIONS = {
  task: { type: 'string' },
  schedule: { type: 'string' },
  terminate: { type: 'boolean', default: false },
  undo: { type: 'boolean', default: false },
  list: { type: 'boolean', default: false },
} as const

/** Maximum number of characters of an id. Names of tasks are shorter. */
const MAX_LENGTH = 255

/** Runs `onedyno revoke`. @returns the exit status */
export async function run(argv: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const { values, positionals: ids } = parseArgs({ args: [...argv], options: OPTIONS, allowPositionals: true })
  const { task, schedule, terminate, undo, list } = values
  if (!list && ids.length === 0 && task === undefined && schedule === undefined)
    throw new AppError('USAGE', 'revoke takes ids, or --task NAME, or --schedule NAME')
  if (undo && task === undefined) throw new AppError('USAGE', '--undo needs --task NAME: a revocation by id cannot be undone')
  const names = [...ids, task, schedule].filter((name) => name !== undefined)
  const wrong = names.find((name) => name === '' || [...name].length > MAX_LENGTH)
  if (wrong !== undefined) throw new AppError('USAGE', `${JSON.stringify(wrong)} is not a text of 1 to ${MAX_LENGTH} characters`)
  return withSession(env, undefined, async ({ database, broker }) => {
    const revocations = createRevocations(database)
    if (list) {
      for (const { kind, value, revoked_ms } of await revocations.list())
        process.stdout.write(`${new Date(revoked_ms).toISOString()}  ${kind}  ${value}\n`)
      return 0
    }
    if (undo) return (await revocations.allow(task ?? '')) ? said(`${task} may run again`) : nothing(`${task} is not revoked`)
    const revoked = await createRevoke(database, broker)({ ids, task, schedule }, { terminate })
    return revoked.length === 0 ? nothing(`no run of ${schedule} is open`) : said(revoked.join('\n'))
  })
}

function said(text: string): number {
  process.stdout.write(`${text}\n`)
  return 0
}

function nothing(text: string): number {
  process.stderr.write(`${text}\n`)
  return 1
}
