import type { Message } from '../message/message.ts'
import type { Signature } from '../message/signature.ts'

/** What is to be sent, all of it or nothing. */
export interface Plan {
  /** Sent at their `eta`, or at once. */
  readonly messages: readonly Message[]
  /** Written before any of the messages can run. */
  readonly chords: readonly ChordPlan[]
  readonly groups: readonly GroupPlan[]
}

/** A chord whose header is in the same plan. */
export interface ChordPlan {
  /** The group id of the header. */
  readonly id: string
  /** Ids of the members, in the order of the results that the body gets. Not empty. */
  readonly members: readonly string[]
  readonly body: Signature
  readonly rootId: string | null
}

/** A group whose result can be asked for by its id (Celery's GroupResult.save). */
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
 * What is written in the same commit as the outcome of a message, so that neither exists without the other: a task that succeeded has sent
 * its next step, one that is to be retried has its next attempt in the outbox. Not written when the outcome was not stored because
 * another final one came first.
 */
export interface Effects {
  /** Steps of the workflow, callbacks, errbacks. */
  readonly plan?: Plan | undefined
  /** The next attempt, under the same id; replaces an older one that is still in the outbox. */
  readonly retry?: { readonly message: Message; readonly dueAt: Date } | undefined
  /** The task is a header member of a chord: counted, when its outcome is final. */
  readonly countsForChord?: boolean | undefined
  /** Tasks of the same workflow that end with this one and share its outcome: the rest of a chain that failed. */
  readonly unreachable?: readonly { readonly id: string; readonly task: string; readonly countsForChord: boolean }[] | undefined
  /** The task left no outcome by its own wish, and `unreachable` have none either: JSON of what it threw. A chord that waits for one of them fails by it. */
  readonly ignored?: string | undefined
  readonly extra?: ResultExtra | undefined
  readonly logs?: readonly LogLine[] | undefined
  /** The message is kept in `dead_letter` too, for somebody to look at and to requeue. */
  readonly deadLetter?: { readonly message: Message; readonly reason: string } | undefined
  /** The task holds the key of a unique task, which is free again when the outcome is final. */
  readonly releasesUnique?: boolean | undefined
}

/** What few results have. */
export interface ResultExtra {
  /** RETRY: when it runs again. */
  readonly nextAt?: Date | undefined
  readonly ttlSeconds?: number | undefined
  readonly parentId?: string | undefined
  readonly rootId?: string | undefined
  /** JSON {n, of, note}: what was said last and is not written yet. */
  readonly progress?: string | undefined
  /** What the task sent: ids, and groups as `{ group: id }`. */
  readonly children?: readonly (string | { readonly group: string })[] | undefined
}
