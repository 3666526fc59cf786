import { parseArgs } from 'node:util'
import { createDeadLetters, type DeadLetter } from '../database/dead-letters.ts'
import { AppError } from '../errors.ts'
import { readNumber } from './call.ts'
import { confirm } from './confirm.ts'
import { withSession } from './session.ts'

export const help = `onedyno dead-letters: lists, requeues and deletes dead letters: messages that their task rejected, that ended their workers, that are
unreadable, or whose task no worker has.

Usage: onedyno dead-letters [list [--limit N] [--json]]
       onedyno dead-letters requeue NUMBER … | all
       onedyno dead-letters drop [--force] NUMBER … | all

      --limit N         list: at most N, newest first (default 50)
  -j, --json            list: one JSON object a line, with headers and body
  -f, --force           drop: does not ask
  -h, --help            this text

A requeued message runs again under its id, as if for the first time.
Exit codes: 0 done · 1 answered with no, or none was requeued · 64 usage · 69 unavailable · 70 bug · 78 configuration`

const OPTIONS = {
  limit: { type: 'string', default: '50' },
  json: { type: 'boolean', short: 'j', default: false },
  force: { type: 'boolean', short: 'f', default: false },
} as const

/** Runs `onedyno dead-letters`. @returns the exit status */
export async function run(argv: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const { values, positionals } = parseArgs({ args: [...argv], options: OPTIONS, allowPositionals: true })
  const [action = 'list', ...numbers] = positionals
  if (!['list', 'requeue', 'drop'].includes(action))
    throw new AppError('USAGE', `unknown action ${action}; there are list, requeue, drop`)
  const which = action === 'list' ? 'all' : chosen(action, numbers)
  const limit = readNumber('--limit', values.limit)
  if (!Number.isInteger(limit) || limit < 1) throw new AppError('USAGE', `--limit ${values.limit} is not a whole number above 0`)
  return withSession(env, undefined, async ({ database }) => {
    const letters = createDeadLetters(database)
    if (action === 'list') {
      const found = await letters.list(limit)
      if (found.length === 0 && !values.json) process.stderr.write('no dead letters\n')
      for (const letter of found) process.stdout.write(`${values.json ? JSON.stringify(letter) : lineOf(letter)}\n`)
      return 0
    }
    if (action === 'requeue') {
      const ids = await letters.requeue(which)
      process.stdout.write(ids.map((id) => `${id}\n`).join(''))
      if (ids.length > 0) return 0
      process.stderr.write('nothing requeued: there is no such number, or the message has no id\n')
      return 1
    }
    const question =
      which === 'all'
        ? 'Delete all dead letters?'
        : `Delete ${which.length} ${which.length === 1 ? 'dead letter' : 'dead letters'}?`
    if (!values.force && !(await confirm(question))) return 1
    process.stdout.write(`${await letters.drop(which)} deleted\n`)
    return 0
  })
}

function chosen(action: string, numbers: readonly string[]): readonly string[] | 'all' {
  if (numbers.length === 1 && numbers[0] === 'all') return 'all'
  if (numbers.length === 0 || !numbers.every((number) => /^\d{1,18}$/.test(number)))
    throw new AppError('USAGE', `${action} takes numbers as \`onedyno dead-letters\` shows them, or all`)
  return numbers
}

const lineOf = ({ id, diedAt, queue, task, taskId, reason }: DeadLetter) =>
  `${id.padStart(6)}  ${diedAt.toISOString()}  ${queue}  ${task ?? '(no task)'}  ${taskId || '(no id)'}  ${reason}`
