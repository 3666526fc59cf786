import { parseArgs } from 'node:util'
import type { ApplyOptions } from '../app/apply-options.ts'
import type { AsyncResult } from '../app/results/handles.ts'
import { TaskError } from '../app/results/task-error.ts'
import { AppError } from '../errors.ts'
import { withSession } from './session.ts'

export const help = `onedyno call: enqueues a task and prints its id.

Usage: onedyno call [options] NAME

      --args JSON       its arguments, such as '[1, 2]' (default [])
      --kwargs JSON     its named arguments, such as '{"deep": true}'
      --countdown S     not before so many seconds
      --eta TIME        not before this moment, such as 2026-12-24T18:00:00Z
      --expires S|TIME  not after so many seconds, or this moment
      --queue NAME      into this queue
      --priority N      0 to 255, higher first
      --wait            waits for the result and prints it as JSON instead of the id
      --timeout S       waits at most S seconds (default: no limit)
      --app FILE        module that exports your application (ONEDYNO_APP); a task that is not in it is sent unchecked
  -h, --help            this text

Exit codes: 0 enqueued, or succeeded · 1 the task failed · 64 usage · 69 unavailable, or not in time · 70 bug · 78 configuration`

const OPTIONS = {
  args: { type: 'string', default: '[]' },
  kwargs: { type: 'string', default: '{}' },
  countdown: { type: 'string' },
  eta: { type: 'string' },
  expires: { type: 'string' },
  queue: { type: 'string' },
  priority: { type: 'string' },
  wait: { type: 'boolean', default: false },
  timeout: { type: 'string' },
  app: { type: 'string' },
} as const

/** Runs `onedyno call`. @returns the exit status */
export async function run(argv: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const { values, positionals } = parseArgs({ args: [...argv], options: OPTIONS, allowPositionals: true })
  const [name, ...more] = positionals
  if (name === undefined || more.length > 0) throw new AppError('USAGE', 'call takes the name of one task')
  const args = readJson('--args', values.args)
  if (!Array.isArray(args)) throw new AppError('USAGE', `--args ${values.args} is not a JSON array`)
  const options = applyOptions(values)
  if (values.timeout !== undefined && !values.wait) throw new AppError('USAGE', '--timeout needs --wait')
  const timeoutMs = values.timeout === undefined ? undefined : 1000 * readNumber('--timeout', values.timeout)
  return withSession(env, values.app, async ({ app }) => {
    const result = await app.sendTask(name, args, options)
    if (!app.tasks.has(name)) process.stderr.write(`note: ${name} is not registered here, so it was sent unchecked\n`)
    if (values.wait) return printResult(result, timeoutMs)
    process.stdout.write(`${result.id}\n`)
    return 0
  })
}

/** Prints the result of a task as JSON on stdout, or the error of a failed task on stderr. @returns the exit status */
export async function printResult(result: AsyncResult, timeoutMs: number | undefined): Promise<number> {
  try {
    const value = await result.get(timeoutMs === undefined ? {} : { timeoutMs })
    process.stdout.write(`${JSON.stringify(value, null, 2)}\n`)
    return 0
  } catch (error) {
    if (!(error instanceof TaskError)) throw error
    process.stderr.write(`${error.message}\n${error.traceback === null ? '' : `${error.traceback}\n`}`)
    return 1
  }
}

type Given = { readonly [Name in 'kwargs' | 'countdown' | 'eta' | 'expires' | 'queue' | 'priority']?: string | undefined }

function applyOptions({ kwargs, countdown, eta, expires, queue, priority }: Given): ApplyOptions {
  const named = kwargs === undefined ? {} : readJson('--kwargs', kwargs)
  if (typeof named !== 'object' || named === null || Array.isArray(named))
    throw new AppError('USAGE', `--kwargs ${kwargs} is not a JSON object`)
  return {
    ...(Object.keys(named).length > 0 && { kwargs: named as Record<string, unknown> }),
    ...(countdown !== undefined && { countdown: readNumber('--countdown', countdown) }),
    ...(eta !== undefined && { eta: readTime('--eta', eta) }),
    ...(expires !== undefined && { expires: /^\d+(\.\d+)?$/.test(expires) ? Number(expires) : readTime('--expires', expires) }),
    ...(queue !== undefined && { queue: readQueue('--queue', queue) }),
    ...(priority !== undefined && { priority: readNumber('--priority', priority) }),
  }
}

function readJson(option: string, text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new AppError('USAGE', `${option} ${text} is not JSON: ${(cause as Error).message}`)
  }
}

export function readNumber(option: string, text: string): number {
  if (!/^\d+(\.\d+)?$/.test(text)) throw new AppError('USAGE', `${option} ${text} is not a number`)
  return Number(text)
}

/** Refuses names of queues that `worker -Q` cannot take, because `-Q` splits its list at commas and trims spaces. */
function readQueue(option: string, text: string): string {
  if (text !== '' && text === text.trim() && !text.includes(',')) return text
  const names = text.split(',').map((name) => name.trim())
  const instead = names.filter((name) => name !== '').join(' or ')
  throw new AppError(
    'USAGE',
    `${option} ${JSON.stringify(text)} is no queue that \`worker -Q\` can take from: it takes one name${instead === '' ? '' : `, such as ${instead}`}`,
  )
}

function readTime(option: string, text: string): Date {
  const at = new Date(text)
  if (Number.isNaN(at.getTime())) throw new AppError('USAGE', `${option} ${text} is not a moment such as 2026-12-24T18:00:00Z`)
  return at
}
