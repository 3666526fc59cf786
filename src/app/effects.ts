import type { Message } from '../message/message.ts'
import type { Signature } from '../message/signature.ts'

/** Messages, chords and groups that are sent together or not at all. */
export interface Plan {
  /** Messages to send, each at its `eta`, or at once if it has none. */
  readonly messages: readonly Message[]
  /** Chords that are stored before any of the messages can run. */
  readonly chords: readonly ChordPlan[]
  readonly groups: readonly GroupPlan[]
}

/** A chord whose header is in the same plan. */
export interface ChordPlan {
  /** The group id of the header. */
  readonly id: string
  /** Ids of the members, in the order of the results that the body receives. Not empty. */
  readonly members: readonly string[]
  readonly body: Signature
  readonly rootId: string | null
}

/** A group whose result can be read by its id (Celery's GroupResult.save). */
export interface GroupPlan {
  readonly id: string
  readonly members: readonly string[]
}

/** A line that a task wrote with `ctx.log`. */
export interface LogLine {
  /** pino's number: 20 debug, 30 info, 40 warn, 50 error. */
  readonly level: number
  /** Milliseconds since the epoch. */
  readonly at: number
  readonly message: string
  /** JSON object, or null. */
  readonly fields: string | null
}

/**
 * Data that is written in the same commit as an outcome, so that neither exists without the other. The next step of a workflow,
 * for example, is sent if and only if the success of the task is stored. If another final outcome was stored first, effects are
 * dropped.
 */
export interface Effects {
  /** Next steps of the workflow, callbacks, errbacks. */
  readonly plan?: Plan | undefined
  /** The next attempt, under the same id. It replaces an earlier message of the task that is still in the outbox. */
  readonly retry?: { readonly message: Message; readonly dueAt: Date } | undefined
  /** true: the task is a member of a chord's header, and a final outcome counts for the chord. */
  readonly countsForChord?: boolean | undefined
  /** Tasks of the same workflow that can no longer run and get the same outcome, such as the rest of a chain that failed. */
  readonly unreachable?: readonly { readonly id: string; readonly task: string; readonly countsForChord: boolean }[] | undefined
  /**
   * Set if the task threw `Ignore`: the error as JSON. Neither the task nor the `unreachable` tasks get an outcome, and a chord
   * that waits for any of these tasks fails with this error.
   */
  readonly ignored?: string | undefined
  readonly extra?: ResultExtra | undefined
  readonly logs?: readonly LogLine[] | undefined
  /** Set if the message also becomes a row of `dead_letter`, where a person can read and requeue it. */
  readonly deadLetter?: { readonly message: Message; readonly reason: string } | undefined
  /** true: the task holds the key of a unique call, and a final outcome frees the key. */
  readonly releasesUnique?: boolean | undefined
}

/** Fields that few results have. */
export interface ResultExtra {
  /** For RETRY: the time when the next attempt is due. */
  readonly nextAt?: Date | undefined
  readonly ttlSeconds?: number | undefined
  readonly parentId?: string | undefined
  readonly rootId?: string | undefined
  /** The latest progress as JSON `{n, of, note}`, if it is not written yet. */
  readonly progress?: string | undefined
  /** Tasks and groups that this task sent. */
  readonly children?: readonly Child[] | undefined
}

/** The id of a task that another task sent, or `{ group: id }` for a group. */
export type Child = string | { readonly group: string }
