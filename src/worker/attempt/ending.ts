import type { RouteOf } from '../../app/canvas/plan.ts'
import type { Child, Effects, ResultExtra } from '../../app/effects.ts'
import { type Outcome, READY_STATES, type State } from '../../app/outcome.ts'
import type { Consumer, FinishOptions } from '../../broker/broker.ts'
import type { Log } from '../../log.ts'
import { checkJson } from '../../message/check-json.ts'
import { decodeBody, type Message } from '../../message/message.ts'
import { UNIQUE } from '../../message/private-headers.ts'
import type { Embed } from '../../message/signature.ts'
import type { Attempt, Ending } from './attempt.ts'
import { parentOf, retriesOf } from './context.ts'
import { encodeThrown } from './exception.ts'
import type { WorkerObserver } from './ports.ts'
import { type Workflow, workflowOf } from './workflow.ts'

/**
 * Returns the ending of a task that returned a value. A task without a value returns null, as in Python.
 * @throws EncodeError that names the part of the value that JSON does not have; ResultTooLarge
 */
export function returned({ startedAt, options }: Attempt, value: unknown): Ending {
  const result = resultText(value, options!.maxBytes)
  const endedAt = Date.now()
  const none = { traceback: null, error: undefined, retry: undefined, deadLetter: undefined }
  return { tag: 'ending', state: 'SUCCESS', result, value, startedAt, endedAt, ...none }
}

function resultText(value: unknown, maxBytes: number): string {
  if (value === undefined) return 'null'
  const text = jsonOf(value)
  // One UTF-16 unit of a JavaScript string takes at most three bytes in UTF-8, so the bytes of a short text need not be counted.
  if (text.length * 3 > maxBytes && Buffer.byteLength(text) > maxBytes)
    throw named(
      'ResultTooLarge',
      `the result has ${Buffer.byteLength(text)} bytes, but the limit is ${maxBytes}: store the result elsewhere`,
    )
  return text
}

function jsonOf(value: unknown): string {
  try {
    checkJson(value, 'result')
  } catch (cause) {
    throw named('EncodeError', (cause as Error).message)
  }
  return JSON.stringify(value)
}

const named = (name: string, message: string): Error => Object.assign(new Error(message), { name })

/** Returns the ending of a task that threw, or that was ended from outside with an error. */
export function endedBy(
  state: 'FAILURE' | 'RETRY' | 'REVOKED',
  error: unknown,
  more: Pick<Ending, 'startedAt'> & Partial<Pick<Ending, 'retry' | 'deadLetter'>>,
): Ending {
  const { exception, traceback } = encodeThrown(error)
  const { startedAt, retry, deadLetter } = more
  const result = JSON.stringify(exception)
  const endedAt = Date.now()
  return { tag: 'ending', state, result, traceback, value: exception, error, startedAt, endedAt, retry, deadLetter }
}

/** Returns the outcome of an attempt that still runs (STARTED). */
export function startedOutcome({ headers, queue }: Message, startedAt: number): Outcome {
  const { id, task } = headers
  const none = { result: null, traceback: null, doneAt: null }
  return { id, task, state: 'STARTED', queue, retries: retriesOf(headers), startedAt, ...none }
}

function outcomeOf({ headers, queue }: Message, { state, result, traceback, startedAt, endedAt }: Ending): Outcome {
  const doneAt = READY_STATES.has(state) ? endedAt : null
  return { id: headers.id, task: headers.task, state, result, traceback, queue, retries: retriesOf(headers), startedAt, doneAt }
}

export interface FinishParts {
  readonly log: Log
  readonly observer?: WorkerObserver | undefined
  /** Returns queue and priority for the next steps of a workflow that set none themselves. */
  readonly route?: RouteOf | undefined
}

/**
 * Creates the function that turns an ending into an outcome with its effects (next steps of the workflow, next attempt, log
 * lines, children) and hands both to the broker. No other code does this. The function never throws. HOT: for a task without
 * effects it creates only the outcome.
 */
export function createFinish(
  { log, observer, route }: FinishParts,
  consumer: () => Pick<Consumer, 'finish'>,
): (attempt: Attempt, ending: Ending) => void {
  const workflowAfter = (attempt: Attempt, ending: Ending): Workflow | undefined => {
    const { delivery, body, context } = attempt
    return workflowOf(delivery, body?.embed ?? embedOf(delivery.message), ending, {
      route,
      inherited: context?.inherited,
      report: reportPart(log, attempt),
    })
  }

  return (attempt, ending) => {
    const { delivery } = attempt
    const effects = effectsOf(attempt, ending, hasWorkflow(attempt) ? workflowAfter(attempt, ending) : undefined)
    const outcome = outcomeOf(delivery.message, ending)
    consumer().finish(delivery, isIgnored(attempt, ending.state) ? null : outcome, howToFinish(ending, effects))
    observer?.ended(delivery, outcome)
  }
}

const reportPart =
  (log: Log, { delivery }: Attempt) =>
  (err: unknown, part: string): void => {
    const { id, task } = delivery.message.headers
    log.error({ task, id, part, err }, 'a part of the workflow is invalid and is skipped')
  }

/** Returns true if the message has a workflow, or may have one because its body was never decoded: such a task did not run. */
const hasWorkflow = ({ body }: Attempt): boolean => {
  if (body === undefined) return true
  const { callbacks, errbacks, chain, chord } = body.embed
  return callbacks != null || errbacks != null || chain != null || chord != null
}

/** Decodes the embed of a message that was never decoded. An undecodable body has no workflow. */
function embedOf({ body }: Message): Embed {
  try {
    return decodeBody(body).embed
  } catch {
    return {}
  }
}

/**
 * Returns true if the result is not stored. The header of the message overrides the option of the task. A failure is stored in
 * any case.
 */
export const isResultIgnored = ({ delivery, options }: Attempt): boolean =>
  delivery.message.headers.ignore_result ?? options?.ignoreResult ?? false

const isIgnored = (attempt: Attempt, state: State): boolean =>
  (state === 'RETRY' || (state === 'SUCCESS' && !isOfChord(attempt))) && isResultIgnored(attempt)

/**
 * Returns true for a member of a chord, whose result is stored even if its task ignores results, because the body needs it, as
 * in Celery.
 */
const isOfChord = ({ body }: Attempt): boolean => body?.embed.chord != null

function howToFinish({ startedAt, state }: Ending, effects: Effects | undefined): FinishOptions | undefined {
  const rejected = startedAt === null && state === 'FAILURE'
  return rejected || effects !== undefined ? { rejected, effects } : undefined
}

function effectsOf(attempt: Attempt, ending: Ending, workflow: Workflow | undefined): Effects | undefined {
  const { delivery, context, options } = attempt
  const { headers } = delivery.message
  const { state, retry, deadLetter } = ending
  const isFinal = READY_STATES.has(state)
  const report = context?.endReport()
  const releasesUnique = isFinal && headers[UNIQUE] !== undefined ? true : undefined
  const extra = extraOf(headers, {
    nextAt: retry?.dueAt,
    ttlSeconds: isFinal ? options?.ttlSeconds : undefined,
    children: childrenOf(context?.children, workflow?.children),
    progress: report?.progress,
  })
  if (
    workflow === undefined &&
    retry === undefined &&
    extra === undefined &&
    report === undefined &&
    deadLetter === undefined &&
    releasesUnique === undefined
  )
    return undefined
  const { plan, countsForChord, unreachable } = workflow ?? {}
  const letter = deadLetter === undefined ? undefined : { message: delivery.message, reason: deadLetter }
  return { plan, countsForChord, unreachable, retry, extra, logs: report?.logs, deadLetter: letter, releasesUnique }
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

/**
 * Returns the effects of a task that threw Ignore. It leaves no outcome, its unique key is released, and a chord that waits for
 * it, or for the rest of its chain, fails. Even a task that ends at once needs these effects, because an earlier attempt may
 * have run and been requeued.
 */
export function ignoredEffects(attempt: Attempt, thrown: unknown, log: Log): Effects {
  const { body, context, delivery } = attempt
  context?.endReport()
  const { chain = null, chord = null } = body?.embed ?? {}
  const parts = { report: reportPart(log, attempt) }
  const { countsForChord, unreachable } = workflowOf(delivery, { chain, chord }, { state: 'FAILURE' }, parts) ?? {}
  const releasesUnique = delivery.message.headers[UNIQUE] === undefined ? undefined : true
  const ignored = JSON.stringify(encodeThrown(thrown).exception)
  return { countsForChord, unreachable: unreachable?.filter((other) => other.countsForChord), ignored, releasesUnique }
}
