import { v7 as uuidv7 } from 'uuid'
import { createMessage, type Message } from '../../message/message.ts'
import { PARKED, UNIQUE } from '../../message/private-headers.ts'
import type { ApplyOptions } from '../apply-options.ts'
import type { TaskOptions } from '../task-options.ts'
import type { CurrentTask } from './current-task.ts'
import type { Route } from './routes.ts'
import { traceHeaders } from './tracing.ts'
import { type UniqueClaim, uniqueClaimOf } from './unique.ts'

/**
 * The time when a message is due: a Date, or a number of seconds after the database stored the message, by the clock of the
 * database.
 */
export type Due = Date | { readonly afterSeconds: number }

/** A checked call, ready to be sent. */
export interface Prepared {
  readonly message: Message
  /** The time when the message is due; undefined means at once. */
  readonly due: Due | undefined
  readonly unique: UniqueClaim | undefined
}

export interface Call {
  readonly name: string
  readonly args: readonly unknown[]
  readonly options: ApplyOptions
  /** The options of the task; undefined if the task is not registered in this process. */
  readonly task: TaskOptions | undefined
  readonly route: Route | undefined
  /** The task that makes the call; undefined outside a task. */
  readonly parent: CurrentTask | undefined
}

/**
 * Makes the message of a checked call. Options of the call override the options of the task, which override the route. HOT: once
 * per call.
 */
export function prepare(call: Call): Prepared {
  const { name, args, options, task, route } = call
  const id = options.taskId ?? uuidv7()
  const eta = etaOf(options)
  const message = createMessage({
    id,
    task: name,
    args,
    kwargs: options.kwargs,
    queue: options.queue ?? task?.queue ?? route?.queue,
    priority: options.priority ?? task?.priority ?? route?.priority,
    eta,
    expires: expiresOf(options.expires ?? task?.expires),
    headers: headersOf(call, eta),
  })
  const due = eta === undefined || options.countdown === undefined ? eta : { afterSeconds: options.countdown }
  const unique = task?.unique === undefined ? undefined : uniqueClaimOf(name, task, { id, args, kwargs: options.kwargs })
  return { message, due, unique }
}

/** Headers of the call come last, because they override inherited ones. */
function headersOf({ name, options, task, parent }: Call, eta: Date | undefined): Record<string, unknown> {
  const headers: Record<string, unknown> = {}
  if (parent !== undefined) {
    Object.assign(headers, parent.inherited)
    headers.parent_id = parent.id
    headers.root_id = parent.rootId
  }
  const trace = traceHeaders(name)
  if (trace !== undefined) Object.assign(headers, trace)
  Object.assign(headers, options.headers)
  if (options.ignoreResult || task?.ignoreResult) headers.ignore_result = true
  // The limits of the task are not sent, because the worker already has them.
  if (options.timeLimit !== undefined || options.softTimeLimit !== undefined)
    headers.timelimit = [options.timeLimit ?? null, options.softTimeLimit ?? null]
  if (options.shadow !== undefined) headers.shadow = options.shadow
  if (task?.unique !== undefined && task.unique.until !== 'time') headers[UNIQUE] = 'end'
  // The message waits in the outbox until its eta. This header stops a worker whose clock is behind from parking it again.
  if (eta !== undefined) headers[PARKED] = eta.toISOString()
  return headers
}

function etaOf({ countdown, eta }: ApplyOptions): Date | undefined {
  if (eta !== undefined) return eta
  return countdown === undefined || countdown === 0 ? undefined : new Date(Date.now() + countdown * 1000)
}

const expiresOf = (expires: Date | number | undefined): Date | undefined =>
  typeof expires === 'number' ? new Date(Date.now() + expires * 1000) : expires
