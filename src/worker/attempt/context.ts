import type { CurrentTask } from '../../app/calls/current-task.ts'
import { traceOf } from '../../app/calls/tracing.ts'
import { retryUntil, throwRetry } from '../../app/retry-policy.ts'
import type { RetryOptions, TaskContext } from '../../app/task-context.ts'
import { controlFlowOf } from '../../app/task-errors.ts'
import type { RetryPolicy } from '../../app/task-options.ts'
import type { Log } from '../../log.ts'
import type { Body, Message } from '../../message/message.ts'
import { RETRY_UNTIL } from '../../message/private-headers.ts'
import type { Reporter, RunReport } from './ports.ts'

type Child = string | { readonly group: string }

export interface ContextParts {
  readonly log: Log
  /** Receives log lines and progress of runs. Default: log lines only go to `log`, and progress is dropped. */
  readonly reporter?: Reporter | undefined
  /** true: a run belongs to the trace of its sender, and the tasks that it sends belong to that trace too. Default false. */
  readonly tracing?: boolean | undefined
}

interface OwnParts {
  readonly attempt: {
    readonly controller: AbortController
    /** Milliseconds since the epoch. */
    readonly startedAt: number
  }
  readonly policy: RetryPolicy
  readonly parts: ContextParts
}

/** Returns the header `retries`. Any producer may have sent it, so a value that the results table cannot hold counts as 0. */
export const retriesOf = ({ retries }: Message['headers']): number =>
  Number.isInteger(retries) && (retries as number) >= 0 && (retries as number) < 2 ** 31 ? (retries as number) : 0

/** Returns the id of the parent task. As in Celery, a retried message names itself as its parent, which counts as no parent. */
export const parentOf = ({ id, parent_id }: Message['headers']): string | undefined =>
  parent_id == null || parent_id === id ? undefined : parent_id

/**
 * The context that a task receives, and the parent of the tasks that it sends. HOT: created for each attempt, so parts that cost
 * more than a field are created when they are first read. The functions are getters, so that `({ log, retry })` in a parameter
 * list works.
 */
export class RunContext implements TaskContext, CurrentTask {
  readonly id: string
  readonly task: string
  readonly queue: string
  readonly retries: number
  readonly kwargs: Readonly<Record<string, unknown>>
  readonly headers: Message['headers']
  readonly #message: Message
  readonly #own: OwnParts
  #report: RunReport | undefined
  #log: Log | undefined
  #children: Child[] | undefined
  #exhausted = false

  constructor(message: Message, body: Body, own: OwnParts) {
    const { headers, queue } = message
    this.id = headers.id
    this.task = headers.task
    this.queue = queue
    this.retries = retriesOf(headers)
    this.kwargs = body.kwargs
    this.headers = headers
    this.#message = message
    this.#own = own
  }

  get signal(): AbortSignal {
    return this.#own.attempt.controller.signal
  }

  get attempt(): number {
    return this.retries + 1
  }

  get parentId(): string | undefined {
    return parentOf(this.headers)
  }

  get rootId(): string {
    return this.headers.root_id ?? this.id
  }

  // A child logger costs more than most tasks, so it is created only for tasks that log.
  get log(): Log {
    this.#log ??= this.#runReport()?.log ?? this.#own.parts.log.child({ task: this.task, id: this.id })
    return this.#log
  }

  get progress(): TaskContext['progress'] {
    return (n, of, note) => this.#runReport()?.progress(n, of, note)
  }

  get retry(): TaskContext['retry'] {
    return (options) => this.#retry(options)
  }

  get inherited(): Readonly<Record<string, unknown>> | undefined {
    if (this.#own.parts.tracing !== true || this.headers.traceparent === undefined) return undefined
    return { ...traceOf(this.headers) }
  }

  sent(child: Child): void {
    this.#children ??= []
    this.#children.push(child)
  }

  /** The latest time at which an attempt may be due, in milliseconds since the epoch; undefined: no limit. */
  get until(): number | undefined {
    return retryUntil(this.#own.policy, this.headers[RETRY_UNTIL], this.#own.attempt.startedAt)
  }

  /** true: `retry` was called when no attempt was left, so the error that it threw is final. */
  get exhausted(): boolean {
    return this.#exhausted
  }

  get children(): readonly Child[] | undefined {
    return this.#children
  }

  /** Ends the report. Returns the log lines and progress that are not written yet. */
  endReport(): ReturnType<RunReport['end']> {
    return this.#report?.end()
  }

  #runReport(): RunReport | undefined {
    this.#report ??= this.#own.parts.reporter?.begin(this.#message)
    return this.#report
  }

  #retry(options: RetryOptions | undefined): never {
    const { id, task, retries, until } = this
    try {
      throwRetry(this.#own.policy, { id, task, retries, until }, options)
    } catch (thrown) {
      this.#exhausted = controlFlowOf(thrown) !== 'retry'
      throw thrown
    }
  }
}
