/**
 * A task call that is not sent yet, in Celery's JSON form (docs/internals/wire-protocol.md, "Signatures"). `subtask_type` is
 * null for a task, also for the tasks `celery.map`, `celery.starmap` and `celery.chunks`.
 */
export interface Signature {
  readonly task: string
  readonly args: readonly unknown[]
  readonly kwargs: Readonly<Record<string, unknown>>
  readonly options: SignatureOptions
  readonly subtask_type: 'chain' | 'group' | 'chord' | string | null
  /** true: the task does not receive the result of the task before it. */
  readonly immutable: boolean
}

/** Options of a signature as JSON: the keywords of Celery's `apply_async`, and the ids that freezing adds. */
export interface SignatureOptions {
  readonly task_id?: string
  readonly reply_to?: string
  readonly root_id?: string | null
  readonly parent_id?: string | null
  readonly group_id?: string | null
  readonly group_index?: number | null
  /** The body of the chord that this task is a member of. */
  readonly chord?: Signature | null
  readonly link?: readonly Signature[] | Signature | null
  readonly link_error?: readonly Signature[] | Signature | null
  readonly queue?: string
  readonly routing_key?: string
  readonly priority?: number
  /** Seconds from the time of sending. */
  readonly countdown?: number
  /** A time in ISO 8601. */
  readonly eta?: string
  /** A time in ISO 8601, or seconds. */
  readonly expires?: string | number
  /** In seconds. */
  readonly time_limit?: number
  /** In seconds. */
  readonly soft_time_limit?: number
  readonly ignore_result?: boolean
  readonly shadow?: string
  readonly headers?: Readonly<Record<string, unknown>>
  readonly stamped_headers?: readonly string[] | null
  readonly [other: string]: unknown
}

/** The third part of a body: the steps that follow this task in its workflow. */
export interface Embed {
  readonly callbacks?: readonly Signature[] | null
  readonly errbacks?: readonly Signature[] | null
  /** The steps that follow in the chain, in reverse order: the last item runs next. */
  readonly chain?: readonly Signature[] | null
  /** The body of the chord of whose header the task is a member. `options.group_id` of the body is the id of the chord. */
  readonly chord?: Signature | null
}
