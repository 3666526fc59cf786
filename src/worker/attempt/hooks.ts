import type { App } from '../../app/app.ts'
import { currentTask } from '../../app/calls/current-task.ts'
import type { Task } from '../../app/task.ts'
import type { RunEnd } from '../../app/task-context.ts'
import { waitAtMost } from '../../concurrency/with-timeout.ts'
import type { Log } from '../../log.ts'
import type { Attempt, Ending } from './attempt.ts'
import type { RunContext } from './context.ts'
import { limitsOf } from './effective-options.ts'
import { encodeThrown } from './exception.ts'

/** Time limit of all hooks of an attempt together if it has no hard time limit, in milliseconds. */
const HOOKS_MS = 10_000

const HOOK_FAILED = 'hook failed, the task is not affected'

type Hook = readonly [name: string, call: () => unknown]

export interface HookOptions {
  /** `hooks` is undefined if the application imports an older version of this package. */
  readonly app: { readonly hooks?: App['hooks'] | undefined }
  readonly log: Log
}

/** The hooks of a task and of its application. An error or a timeout of a hook is logged and changes nothing. */
export interface Hooks {
  /** Runs the `before` hooks. Returns undefined if there is nothing to wait for, as for most tasks. HOT. */
  before(attempt: Attempt): Promise<void> | undefined
  after(attempt: Attempt, ending: Ending): Promise<void> | undefined
}

export function createHooks({ app, log }: HookOptions): Hooks {
  const logFailure = (fields: object, thrown: unknown) => {
    try {
      log.error({ ...fields, err: shown(thrown) }, HOOK_FAILED)
    } catch {
      // The thrown value may throw again when the logger reads it.
      log.error({ ...fields, ...encodeThrown(thrown).exception }, HOOK_FAILED)
    }
  }

  const run = async (attempt: Attempt, hooks: readonly Hook[]) => {
    const { id, task } = attempt.delivery.message.headers
    let name = ''
    const each = async () => {
      for (const [called, call] of hooks) {
        name = called
        try {
          await call()
        } catch (thrown) {
          logFailure({ task, id, hook: name }, thrown)
        }
      }
    }
    const ms = timeFor(attempt)
    if (!(await waitAtMost(each(), ms))) log.error({ task, id, hook: name, ms }, 'hook timed out, the task continues without it')
  }

  return {
    before(attempt) {
      const { context, body } = attempt
      if (app.hooks === undefined || app.hooks.before.length === 0 || context === undefined) return undefined
      const args = body?.args ?? []
      const hooks = app.hooks.before.map((hook): Hook => ['before', () => hook(context, args)])
      return currentTask.run(context, run, attempt, hooks)
    },
    after(attempt, ending) {
      const { context, body, options } = attempt
      const after = app.hooks?.after ?? []
      if (options === undefined || context === undefined || body === undefined) return undefined
      const { args } = body
      const own = ownHook(options.task, ending)
      if (own === undefined && after.length === 0) return undefined
      const hooks = after.map((hook): Hook => ['after', () => hook(context, args, endOf(ending))])
      if (own !== undefined) hooks.unshift([own.name, () => own.call(context, args)])
      // Tasks that a hook sends are children of the task.
      return currentTask.run(context, run, attempt, hooks)
    },
  }
}

function ownHook({ options }: Task, { state, value, error }: Ending) {
  const { onSuccess, onFailure, onRetry } = options
  if (state === 'SUCCESS')
    return onSuccess === undefined
      ? undefined
      : { name: 'onSuccess', call: (context: RunContext, args: readonly unknown[]) => onSuccess(context, [...args], value) }
  const name = state === 'RETRY' ? 'onRetry' : 'onFailure'
  const hook = state === 'RETRY' ? onRetry : state === 'FAILURE' ? onFailure : undefined
  if (hook === undefined) return undefined
  return { name, call: (context: RunContext, args: readonly unknown[]) => hook(context, [...args], error) }
}

const endOf = ({ state, value, error }: Ending): RunEnd =>
  state === 'SUCCESS' ? { state, result: value } : { state: state as 'FAILURE' | 'RETRY' | 'REVOKED', error }

/**
 * Returns the time limit of hooks: the milliseconds until the hard limit. After the hard limit, hooks get the default time, so
 * that they can report the end.
 */
function timeFor({ delivery, options, startedAt }: Attempt): number {
  const { hard } = limitsOf(delivery.message.headers.timelimit, options!.limits)
  const left = hard === undefined ? 0 : startedAt + hard * 1000 - Date.now()
  return left > 0 ? left : HOOKS_MS
}

/** Returns the form in which a thrown value is logged: errors and texts unchanged, otherwise only the type of the value. */
const shown = (thrown: unknown): unknown =>
  thrown instanceof Error ? thrown : typeof thrown === 'string' ? thrown : typeof thrown
