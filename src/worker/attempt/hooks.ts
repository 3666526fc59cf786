import type { App } from '../../app/app.ts'
import { currentTask } from '../../app/calls/current-task.ts'
import type { Task } from '../../app/task.ts'
import type { RunEnd } from '../../app/task-context.ts'
import { waitAtMost } from '../../concurrency/with-timeout.ts'
import type { Log } from '../../log.ts'
import type { Attempt } from './attempt.ts'
import type { RunContext } from './context.ts'
import type { Ending } from './ending.ts'
import { encodeThrown } from './exception.ts'
import { limitsOf } from './limits.ts'

/** What hooks may take together where no hard time limit says how long, in milliseconds. */
const HOOKS_MS = 10_000

const HOOK_FAILED = 'hook failed, which changes nothing for the task'

type Hook = readonly [name: string, call: () => unknown]

export interface HookOptions {
  /** An application of another copy of this package may know nothing of hooks. */
  readonly app: { readonly hooks?: App['hooks'] | undefined }
  readonly log: Log
}

/** The hooks of a task and its application. What they throw, and that they take too long, is logged and changes nothing. */
export interface Hooks {
  /** undefined: there is nothing to wait for, which is the case for most. HOT. */
  before(attempt: Attempt): Promise<void> | undefined
  after(attempt: Attempt, ending: Ending): Promise<void> | undefined
}

export function createHooks({ app, log }: HookOptions): Hooks {
  const sayFailed = (fields: object, thrown: unknown) => {
    try {
      log.error({ ...fields, err: shown(thrown) }, HOOK_FAILED)
    } catch {
      // A logger that looks at what was thrown may be thrown at itself.
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
          sayFailed({ task, id, hook: name }, thrown)
        }
      }
    }
    const ms = timeFor(attempt)
    if (!(await waitAtMost(each(), ms))) log.error({ task, id, hook: name, ms }, 'hook does not end, the task goes on without it')
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
      const { context, body, settings } = attempt
      const after = app.hooks?.after ?? []
      if (settings === undefined || context === undefined || body === undefined) return undefined
      const { args } = body
      const own = ownHook(settings.task, ending)
      if (own === undefined && after.length === 0) return undefined
      const hooks = after.map((hook): Hook => ['after', () => hook(context, args, endOf(ending))])
      if (own !== undefined) hooks.unshift([own.name, () => own.call(context, args)])
      // What a hook sends is sent by the task.
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

/** What is left of the hard limit. A task that has used it up could say nothing of its end any more: then as much as without a limit. */
function timeFor({ delivery, settings, startedAt }: Attempt): number {
  const { hard } = limitsOf(delivery.message.headers.timelimit, settings!.limits)
  const left = hard === undefined ? 0 : startedAt + hard * 1000 - Date.now()
  return left > 0 ? left : HOOKS_MS
}

/** Of what is no error and no text only its type is said. */
const shown = (thrown: unknown): unknown =>
  thrown instanceof Error ? thrown : typeof thrown === 'string' ? thrown : typeof thrown
