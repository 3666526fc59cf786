import type { CurrentTask } from '../../app/calls/current-task.ts'
import { retryUntil, throwRetry } from '../../app/retry-policy.ts'
import type { RetryOptions, TaskContext } from '../../app/task-context.ts'
import { controlFlowOf } from '../../app/task-errors.ts'
import type { RetryPolicy } from '../../app/task-options.ts'
import type { Log } from '../../log.ts'
import type { Body, Message } from '../../message/message.ts'
import { RETRY_UNTIL } from '../../message/private-headers.ts'
import type { Reporter, RunReport, Tracing } from './ports.ts'

type Child = string | { readonly group: string }

export interface ContextParts {
  readonly log: Log
  readonly reporter?: Reporter | undefined
  readonly tracing?: Tracing | undefined
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

/** Headers come from anybody: what the results table cannot hold counts as the first attempt. */
export const retriesOf = ({ retries }: Message['headers']): number =>
  Number.isInteger(retries) && (retries as number) >= 0 && (retries as number) < 2 ** 31 ? (retries as number) : 0

/** A retried message is its own parent, as with Celery; nobody is meant by that. */
export const parentOf = ({ id, parent_id }: Message['headers']): string | undefined =>
  parent_id == null || parent_id === id ? undefined : parent_id

/**
 * What a task knows of its attempt, and what it sends is told to. HOT: made for each; whatever costs more than a field is made when it is
 * first asked for. The functions are getters, so that `({ log, retry })` in a parameter list works.
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

  // A child logger costs more than most tasks do: only those that log pay for it.
  get log(): Log {
    this.#log ??= this.#said()?.log ?? this.#own.parts.log.child({ task: this.task, id: this.id })
    return this.#log
  }

  get progress(): TaskContext['progress'] {
    return (n, of, note) => this.#said()?.progress(n, of, note)
  }

  get retry(): TaskContext['retry'] {
    return (options) => this.#retry(options)
  }

  get inherited(): Readonly<Record<string, unknown>> | undefined {
    const headers = this.#own.parts.tracing?.inherited(this.#message)
    return headers === undefined ? undefined : { ...headers }
  }

  sent(child: Child): void {
    this.#children ??= []
    this.#children.push(child)
  }

  /** No attempt is due later, in milliseconds since the epoch. */
  get until(): number | undefined {
    return retryUntil(this.#own.policy, this.headers[RETRY_UNTIL], this.#own.attempt.startedAt)
  }

  /** `retry` was called and no attempt was left: what it threw is the end. */
  get exhausted(): boolean {
    return this.#exhausted
  }

  get children(): readonly Child[] | undefined {
    return this.#children
  }

  /** What was said last and is not written yet. */
  endReport(): ReturnType<RunReport['end']> {
    return this.#report?.end()
  }

  #said(): RunReport | undefined {
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
