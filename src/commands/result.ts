import { parseArgs } from 'node:util'
import { AppError } from '../errors.ts'
import { printResult, readNumber } from './call.ts'
import { withSession } from './session.ts'

export const help = `onedyno result: prints the state and the result of a task.

Usage: onedyno result [options] ID

      --wait            waits for its end and prints only the value, as JSON
      --timeout S       waits at most S seconds (default: no limit)
      --forget          deletes the stored result after printing it
  -h, --help            this text

Without --wait: one JSON object with state, result, traceback, times, worker, queue and retries.
Exit codes: 0 printed · 1 the task failed (--wait) or is unknown · 64 usage · 69 unavailable · 70 bug · 78 configuration`

const OPTIONS = {
  wait: { type: 'boolean', default: false },
  timeout: { type: 'string' },
  forget: { type: 'boolean', default: false },
} as const

/** Runs `onedyno result`. @returns the exit status */
export async function run(argv: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const { values, positionals } = parseArgs({ args: [...argv], options: OPTIONS, allowPositionals: true })
  const [id, ...more] = positionals
  if (id === undefined || more.length > 0) throw new AppError('USAGE', 'result takes the id of one task')
  if (values.timeout !== undefined && !values.wait) throw new AppError('USAGE', '--timeout needs --wait')
  const timeoutMs = values.timeout === undefined ? undefined : 1000 * readNumber('--timeout', values.timeout)
  return withSession(env, undefined, async ({ app, results }) => {
    const result = app.asyncResult(id)
    const status = values.wait ? await printResult(result, timeoutMs) : await printKnown()
    if (values.forget) await result.forget()
    return status

    async function printKnown(): Promise<number> {
      const known = (await result.info()) ?? (await results.locate(id ?? ''))
      if (known === undefined) {
        process.stderr.write(`no result of ${id}: it waits in the broker, was deleted, or never existed\n`)
        return 1
      }
      process.stdout.write(`${JSON.stringify({ id, ...known }, null, 2)}\n`)
      return 0
    }
  })
}
