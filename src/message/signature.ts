/**
 * A signature as Celery writes it (reference/celery-protocol.md §4.1): what to run, with which arguments and options, not yet sent.
 * `subtask_type` is chain, group or chord for those; maps and chunks are tasks of their own (`celery.map`, …) with null.
 */
export interface Signature {
  readonly task: string
  readonly args: readonly unknown[]
  readonly kwargs: Readonly<Record<string, unknown>>
  readonly options: SignatureOptions
  readonly subtask_type: 'chain' | 'group' | 'chord' | string | null
  /** Takes no result of the task before it. */
  readonly immutable: boolean
}

/** Options of a signature: keywords of Celery's `apply_async`, and what freezing adds. All of JSON. */
export interface SignatureOptions {
  readonly task_id?: string
  readonly reply_to?: string
  readonly root_id?: string | null
  readonly parent_id?: string | null
  readonly group_id?: string | null
  readonly group_index?: number | null
  /** The body of the chord that this is a member of. */
  readonly chord?: Signature | null
  readonly link?: readonly Signature[] | Signature | null
  readonly link_error?: readonly Signature[] | Signature | null
  readonly queue?: string
  readonly routing_key?: string
  readonly priority?: number
  /** Seconds. */
  readonly countdown?: number
  /** ISO 8601. */
  readonly eta?: string
  /** ISO 8601, or seconds. */
  readonly expires?: string | number
  /** Seconds. */
  readonly time_limit?: number
  /** Seconds. */
  readonly soft_time_limit?: number
  readonly ignore_result?: boolean
  readonly shadow?: string
  readonly headers?: Readonly<Record<string, unknown>>
  readonly stamped_headers?: readonly string[] | null
  readonly [other: string]: unknown
}

/** What a message carries beside its arguments, for whoever continues the workflow (§1.5). */
export interface Embed {
  readonly callbacks?: readonly Signature[] | null
  readonly errbacks?: readonly Signature[] | null
  /** In reverse order: the last one runs next. */
  readonly chain?: readonly Signature[] | null
  /** The body of the chord that the task is a header member of; its `options.group_id` is the chord's id. */
  readonly chord?: Signature | null
}
