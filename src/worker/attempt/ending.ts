import type { RouteOf } from '../../app/canvas/plan.ts'
import type { Child, Effects, ResultExtra } from '../../app/effects.ts'
import { type Outcome, READY_STATES, type State } from '../../app/outcome.ts'
import type { Consumer, FinishOptions } from '../../broker/broker.ts'
import type { Log } from '../../log.ts'
import { decodeBody, type Message } from '../../message/message.ts'
import { UNIQUE } from '../../message/private-headers.ts'
import type { Embed } from '../../message/signature.ts'
import type { Attempt } from './attempt.ts'
import { parentOf, retriesOf } from './context.ts'
import { encodeThrown } from './exception.ts'
import type { WorkerObserver } from './observer.ts'
import { type Workflow, workflowOf } from './workflow.ts'

/** How an attempt ended. */
export interface Ending {
  readonly state: State
  /** JSON: the value, or the exception. */
  readonly result: string
  readonly traceback: string | null
  /** What the task returned; or the exception, as it is encoded. */
  readonly value: unknown
  /** What it threw. */
  readonly error: unknown
  /** Milliseconds since the epoch; null: it was never run. */
  readonly startedAt: number | null
  /** Milliseconds since the epoch. */
  readonly endedAt: number
  readonly retry: Effects['retry']
  /** Kept in `dead_letter` too, and why. */
  readonly deadLetter: string | undefined
}

/** Whatever was thrown, as an ending. */
export function endedBy(
  state: 'FAILURE' | 'RETRY' | 'REVOKED',
  error: unknown,
  more: Pick<Ending, 'startedAt'> & Partial<Pick<Ending, 'retry' | 'deadLetter'>>,
): Ending {
  const { exception, traceback } = encodeThrown(error)
  const { startedAt, retry, deadLetter } = more
  const result = JSON.stringify(exception)
  return { state, result, traceback, value: exception, error, startedAt, endedAt: Date.now(), retry, deadLetter }
}

/** As the results table keeps it. */
function outcomeOf({ headers, queue }: Message, { state, result, traceback, startedAt, endedAt }: Ending): Outcome {
  const doneAt = READY_STATES.has(state) ? endedAt : null
  return { id: headers.id, task: headers.task, state, result, traceback, queue, retries: retriesOf(headers), startedAt, doneAt }
}

/** What is recorded of an attempt that runs. */
export function startedOutcome({ headers, queue }: Message, startedAt: number): Outcome {
  const { id, task } = headers
  return {
    id,
    task,
    state: 'STARTED',
    result: null,
    traceback: null,
    queue,
    retries: retriesOf(headers),
    startedAt,
    doneAt: null,
  }
}

export const UNREADABLE_PART = 'a part of the workflow cannot be read, it is left out'

export interface SettlementOptions {
  readonly log: Log
  readonly observer?: WorkerObserver | undefined
  /** Where the next steps of a workflow go that do not say it themselves. */
  readonly route?: RouteOf | undefined
}

/**
 * The one place where the end of an attempt is handed to the broker, with what follows from it: the steps of its workflow, its next
 * attempt, what it said and sent. Never throws. HOT: nothing but the outcome is made for a plain task.
 */
export function createSettlement(
  { log, observer, route }: SettlementOptions,
  consumer: () => Pick<Consumer, 'finish'>,
): (attempt: Attempt, ending: Ending) => void {
  const follow = (attempt: Attempt, ending: Ending): Workflow | undefined => {
    const { delivery, body, context } = attempt
    const { id, task } = delivery.message.headers
    return workflowOf(delivery, body?.embed ?? embedOf(delivery.message), ending, {
      route,
      inherited: context?.inherited,
      report: (err, part) => log.error({ task, id, part, err }, UNREADABLE_PART),
    })
  }

  return (attempt, ending) => {
    const { delivery } = attempt
    const effects = effectsOf(attempt, ending, hasWorkflow(attempt) ? follow(attempt, ending) : undefined)
    const outcome = outcomeOf(delivery.message, ending)
    consumer().finish(delivery, isIgnored(attempt, ending.state) ? null : outcome, howToFinish(ending, effects))
    observer?.ended(delivery, outcome)
  }
}

/** What was never decoded, because it was not to be run, may have one. */
const hasWorkflow = ({ body }: Attempt): boolean => {
  if (body === undefined) return true
  const { callbacks, errbacks, chain, chord } = body.embed
  return callbacks != null || errbacks != null || chain != null || chord != null
}

/** Of a message that was never decoded; one that cannot be has no workflow. */
function embedOf({ body }: Message): Embed {
  try {
    return decodeBody(body).embed
  } catch {
    return {}
  }
}

/** Whoever sent it decides, then its task. A failure is kept all the same. */
export const isResultIgnored = ({ delivery, settings }: Attempt): boolean =>
  delivery.message.headers.ignore_result ?? settings?.ignoreResult ?? false

const isIgnored = (attempt: Attempt, state: State): boolean =>
  (state === 'RETRY' || (state === 'SUCCESS' && !isOfChord(attempt))) && isResultIgnored(attempt)

/** As in Celery, the body of a chord is given what its members returned, also where that is not to be kept. */
const isOfChord = ({ body }: Attempt): boolean => body?.embed.chord != null

function howToFinish({ startedAt, state }: Ending, effects: Effects | undefined): FinishOptions | undefined {
  const rejected = startedAt === null && state === 'FAILURE'
  return rejected || effects !== undefined ? { rejected, effects } : undefined
}

function effectsOf(attempt: Attempt, ending: Ending, workflow: Workflow | undefined): Effects | undefined {
  const { delivery, context, settings } = attempt
  const { headers } = delivery.message
  const { state, retry, deadLetter } = ending
  const isFinal = READY_STATES.has(state)
  const said = context?.endReport()
  const releasesUnique = isFinal && headers[UNIQUE] !== undefined ? true : undefined
  const extra = extraOf(headers, {
    nextAt: retry?.dueAt,
    ttlSeconds: isFinal ? settings?.ttlSeconds : undefined,
    children: childrenOf(context?.children, workflow?.children),
    progress: said?.progress,
  })
  if (
    workflow === undefined &&
    retry === undefined &&
    extra === undefined &&
    said === undefined &&
    deadLetter === undefined &&
    releasesUnique === undefined
  )
    return undefined
  const { plan, countsForChord, unreachable } = workflow ?? {}
  const letter = deadLetter === undefined ? undefined : { message: delivery.message, reason: deadLetter }
  return { plan, countsForChord, unreachable, retry, extra, logs: said?.logs, deadLetter: letter, releasesUnique }
}

const childrenOf = (sent: readonly Child[] | undefined, next: readonly Child[] | undefined): readonly Child[] | undefined =>
  sent === undefined ? next : next === undefined ? sent : [...sent, ...next]

function extraOf(headers: Message['headers'], more: ResultExtra): ResultExtra | undefined {
  const { id, root_id } = headers
  const parentId = parentOf(headers)
  const rootId = root_id == null || root_id === id ? undefined : root_id
  if (
    parentId === undefined &&
    rootId === undefined &&
    more.nextAt === undefined &&
    more.ttlSeconds === undefined &&
    more.children === undefined &&
    more.progress === undefined
  )
    return undefined
  return { ...more, parentId, rootId }
}
