import { TimeLimitExceeded } from '../../app/task-errors.ts'
import type { Consumer } from '../../broker/broker.ts'
import { UndecodableMessageError } from '../../message/undecodable.ts'
import { type Attempt, clearTimers, type Ending, isOpen, isOver, next, RELEASED } from './attempt.ts'
import { createFinish, endedBy, type FinishParts, ignoredEffects, returned } from './ending.ts'
import { encodeThrown, UNSHOWN } from './exception.ts'
import { createHooks, type HookOptions, type Hooks } from './hooks.ts'
import { Revocation } from './interruptions.ts'
import { nextMessage } from './parked-message.ts'
import type { LoopWatch, Runner } from './ports.ts'
import { afterError, lostEarly, type Verdict, verdictOf } from './verdict.ts'

export interface ConcludeOptions extends FinishParts, HookOptions {
  readonly runner?: Runner | undefined
  readonly watch?: LoopWatch | undefined
}

/** The events that end an attempt. Each event frees the slot, once. Only the first event of an attempt has an effect. */
export interface Conclude {
  /** The code returned. @returns a promise if there are `after` hooks to wait for */
  returned(attempt: Attempt, value: unknown): Promise<void> | undefined
  /** The code threw. */
  threw(attempt: Attempt, thrown: unknown): Promise<void> | undefined
  /** The hard time limit has passed. */
  overtime(attempt: Attempt, seconds: number): void
  /** The task was revoked and its code did not stop within the grace period. */
  revoked(attempt: Attempt): void
  /** The message must not run. */
  refused(attempt: Attempt, ending: Ending): void
  /** The worker stops and does not wait any longer. Stores the ending if it is decided; otherwise requeues the message. */
  cutOff(attempt: Attempt): void
  requeue(attempt: Attempt, how: { readonly counted: boolean }): void
  /** Frees the slot without an outcome, because the message is already acknowledged or another worker has it. */
  release(attempt: Attempt, how: { readonly requeued: boolean }): void
  readonly hooks: Hooks
}

interface Parts extends ConcludeOptions {
  readonly hooks: Hooks
  readonly finish: (attempt: Attempt, ending: Ending) => void
  readonly consumer: () => Consumer
}

export function createConclude(options: ConcludeOptions, consumer: () => Consumer): Conclude {
  const { log, runner, watch, app } = options
  const hooks = createHooks(options)
  const parts: Parts = { log, runner, watch, app, hooks, finish: createFinish(options, consumer), consumer }
  return {
    returned: (attempt, value) => onReturned(parts, attempt, value),
    threw: (attempt, thrown) => onThrown(parts, attempt, thrown),
    overtime: (attempt, seconds) => onOvertime(parts, attempt, seconds),
    revoked: (attempt) => onRevoked(parts, attempt),
    refused: (attempt, ending) => void conclude(parts, attempt, ending),
    cutOff: (attempt) => onCutOff(parts, attempt),
    requeue: (attempt, how) => requeue(parts, attempt, how),
    release: (attempt, how) => release(parts, attempt, how),
    hooks,
  }
}

// The steps at the end of an attempt: ending → hooks → settle → release.

/**
 * Ends an attempt. The outcome is stored after the hooks, so if the worker dies in between, the hooks run again with the next
 * delivery.
 */
function conclude(parts: Parts, attempt: Attempt, ending: Ending): Promise<void> | undefined {
  attempt.state = next(attempt.state, ending)
  clearTimers(attempt)
  const waiting = parts.hooks.after(attempt, ending)
  if (waiting !== undefined) return waiting.then(() => settle(parts, attempt))
  settle(parts, attempt)
  return undefined
}

function settle(parts: Parts, attempt: Attempt): void {
  if (attempt.state.tag !== 'ending') return
  parts.finish(attempt, attempt.state)
  release(parts, attempt, { requeued: false })
}

function requeue(parts: Parts, attempt: Attempt, { counted }: { readonly counted: boolean }): void {
  if (isOver(attempt)) return
  parts.consumer().requeue(attempt.delivery, { counted })
  release(parts, attempt, { requeued: true })
}

function release({ watch }: Parts, attempt: Attempt, { requeued }: { readonly requeued: boolean }): void {
  attempt.state = next(attempt.state, RELEASED)
  clearTimers(attempt)
  if (attempt.context !== undefined) watch?.ended(attempt.delivery)
  attempt.onEnd(attempt, requeued)
}

// The events of `Conclude`.

function onReturned(parts: Parts, attempt: Attempt, value: unknown): Promise<void> | undefined {
  const { startedAt, delivery } = attempt
  const { id, task } = delivery.message.headers
  let ending: Ending
  try {
    ending = returned(attempt, value)
  } catch (error) {
    return failed(parts, attempt, error)
  }
  parts.log.info({ task, id, runtimeMs: ending.endedAt - startedAt }, 'task succeeded')
  return conclude(parts, attempt, ending)
}

function onThrown(parts: Parts, attempt: Attempt, given: unknown): Promise<void> | undefined {
  const thrown = visible(given)
  // A body that cannot be read is a fault of the message: another attempt would fail too.
  return thrown instanceof UndecodableMessageError
    ? failed(parts, attempt, thrown)
    : follow(parts, attempt, verdictOf(thrown, circumstances(attempt)))
}

function onOvertime(parts: Parts, attempt: Attempt, seconds: number): void {
  if (!isOpen(attempt)) return
  const { id, task } = attempt.delivery.message.headers
  const error = new TimeLimitExceeded(seconds)
  const verdict = afterError(error, circumstances(attempt))
  parts.log.error({ task, id, seconds }, abandon(parts, attempt) ? OVERTIME_ENDED : OVERTIME_LEFT)
  void follow(parts, attempt, verdict)
  // Code that listens to the signal stops now. Its result is ignored.
  attempt.controller.abort(error)
}

function onRevoked(parts: Parts, attempt: Attempt): void {
  if (!isOpen(attempt)) return
  const { id, task } = attempt.delivery.message.headers
  parts.log.warn({ task, id }, abandon(parts, attempt) ? REVOKED_ENDED : REVOKED_LEFT)
  void conclude(parts, attempt, endedBy('REVOKED', new Revocation(), attempt))
}

function onCutOff(parts: Parts, attempt: Attempt): void {
  if (!isOpen(attempt)) {
    settle(parts, attempt)
    return
  }
  abandon(parts, attempt)
  const { id, task } = attempt.delivery.message.headers
  if (attempt.options?.early === true) {
    parts.log.error(
      { task, id },
      'task did not finish before the worker stopped and was acknowledged early, so it is stored as FAILURE',
    )
    attempt.state = next(attempt.state, endedBy('FAILURE', lostEarly(), attempt))
    settle(parts, attempt)
    return
  }
  parts.log.warn({ task, id }, 'task did not finish before the worker stopped, so it is requeued')
  requeue(parts, attempt, { counted: false })
}

const OVERTIME_ENDED = 'task exceeded its hard time limit, its thread was ended'
const OVERTIME_LEFT = 'task exceeded its hard time limit, its code may still run on the event loop'
const REVOKED_ENDED = 'revoked task does not stop, its thread was ended'
const REVOKED_LEFT = 'revoked task does not stop, its code may still run'

const abandon = ({ runner }: Parts, { run }: Attempt): boolean => run !== undefined && runner?.abandon(run) === true

const circumstances = ({ controller: { signal }, options, context }: Attempt) => ({
  reason: signal.aborted ? signal.reason : undefined,
  policy: options!.task.options,
  early: options!.early,
  retries: context!.retries,
  until: context!.until,
  exhausted: context!.exhausted,
  now: Date.now(),
})

// Converts a verdict to an ending.

function follow(parts: Parts, attempt: Attempt, verdict: Verdict): Promise<void> | undefined {
  const { log, consumer } = parts
  const { id, task } = attempt.delivery.message.headers
  switch (verdict.tag) {
    case 'failed':
      return failed(parts, attempt, verdict.error)
    case 'retried':
      return retried(parts, attempt, verdict)
    case 'revoked':
      log.warn({ task, id }, 'running task was revoked and stopped')
      return conclude(parts, attempt, endedBy('REVOKED', verdict.error, attempt))
    case 'ignored':
      log.info({ task, id }, 'task threw Ignore, nothing is stored')
      consumer().finish(attempt.delivery, null, { effects: ignoredEffects(attempt, verdict.error, log) })
      return void release(parts, attempt, { requeued: false })
    case 'rejected':
      return rejected(parts, attempt, verdict)
    case 'requeued':
      log.warn(
        { task, id, reason: verdict.reason },
        verdict.counted ? 'thread of the task died, task is requeued' : 'worker stops, task is requeued',
      )
      return void requeue(parts, attempt, verdict)
    default:
      return verdict satisfies never
  }
}

function failed(parts: Parts, attempt: Attempt, error: unknown): Promise<void> | undefined {
  const ending = endedBy('FAILURE', error, attempt)
  logFailure(parts, attempt, ending)
  return conclude(parts, attempt, ending)
}

function logFailure({ log }: Parts, { delivery, startedAt }: Attempt, { error, endedAt }: Ending): void {
  const { id, task } = delivery.message.headers
  if (error instanceof UndecodableMessageError) {
    log.error({ task, id, reason: error.message }, 'message cannot be decoded and is stored as FAILURE')
    return
  }
  const fields = { task, id, runtimeMs: endedAt - startedAt }
  try {
    log.error({ ...fields, err: error }, 'task failed')
  } catch {
    // The thrown value throws an error when the logger reads it.
    log.error({ ...fields, ...encodeThrown(error).exception }, 'task failed')
  }
}

function retried(parts: Parts, attempt: Attempt, { error, dueAt }: Extract<Verdict, { tag: 'retried' }>) {
  const { delivery, options, context, startedAt } = attempt
  const { id, task } = delivery.message.headers
  // A Date is the same for every attempt. A number of seconds counts from the first attempt, so the message must carry the
  // resulting time.
  const until = typeof options!.task.options.retryUntil === 'number' ? context!.until : undefined
  const ending = endedBy('RETRY', error, { startedAt, retry: { message: nextMessage(delivery.message, dueAt, until), dueAt } })
  const { exc_type, exc_message } = ending.value as { exc_type: string; exc_message: readonly unknown[] }
  const reason = `${exc_type}: ${exc_message.join(', ')}`
  parts.log.warn({ task, id, reason, attempt: context!.attempt, nextAt: dueAt.toISOString() }, 'task will be retried')
  return conclude(parts, attempt, ending)
}

function rejected(parts: Parts, attempt: Attempt, verdict: Extract<Verdict, { tag: 'rejected' }>) {
  const { id, task } = attempt.delivery.message.headers
  const reason = (verdict.error as Error).message
  parts.log.warn(
    { task, id, reason },
    verdict.requeue ? REJECTED_REQUEUED : 'task rejected its message, which is kept as a dead letter',
  )
  if (verdict.requeue) return void requeue(parts, attempt, { counted: false })
  return conclude(parts, attempt, endedBy('FAILURE', verdict.error, { startedAt: attempt.startedAt, deadLetter: reason }))
}

const REJECTED_REQUEUED = 'task rejected its message, which is requeued'

/** Replaces a value that throws when its class is read, as a proxy may, so that later code can use `instanceof`. */
function visible(thrown: unknown): unknown {
  try {
    void (thrown instanceof Error)
    return thrown
  } catch {
    return new Error(UNSHOWN)
  }
}
