import { TimeLimitExceeded } from '../../app/task-errors.ts'
import type { Consumer } from '../../broker/broker.ts'
import { UndecodableMessageError } from '../../message/undecodable.ts'
import type { Attempt } from './attempt.ts'
import { createSettlement, type Ending, endedBy, type SettlementOptions, UNREADABLE_PART } from './ending.ts'
import { encodeThrown, UNSHOWN } from './exception.ts'
import { createHooks, type HookOptions, type Hooks } from './hooks.ts'
import { ignoredEffects } from './ignored.ts'
import { Revocation } from './interruptions.ts'
import { nextMessage } from './next-attempt.ts'
import type { LoopWatch, Runner } from './ports.ts'
import { resultText } from './result-text.ts'
import { afterError, lostEarly, type Verdict, verdictOf } from './verdict.ts'

export interface EndOptions extends SettlementOptions, HookOptions {
  readonly runner?: Runner | undefined
  readonly watch?: LoopWatch | undefined
}

/** The ways in which an attempt ends. Each of them frees its slot, once; what comes after the first changes nothing. */
export interface AttemptEnds {
  /** Its code returned. */
  succeeded(attempt: Attempt, value: unknown): Promise<void> | undefined
  /** Its code threw. */
  threw(attempt: Attempt, thrown: unknown): Promise<void> | undefined
  /** Its hard time limit has come. */
  overtime(attempt: Attempt, seconds: number): void
  /** It was revoked and minds neither its signal nor the time. */
  revoked(attempt: Attempt): void
  /** It ends without having run. */
  refused(attempt: Attempt, ending: Ending): void
  handBack(attempt: Attempt, how: { readonly counted: boolean }): void
  /** The worker has no more time for it: recorded as far as it is known, else handed back. */
  letGo(attempt: Attempt): void
  /** The message is acknowledged, or another's, and nothing is recorded. */
  leave(attempt: Attempt, how: { readonly handedBack: boolean }): void
  readonly hooks: Hooks
}

/** Does nobody know yet how it ends? */
export const isOpen = ({ ending, over }: Attempt): boolean => ending === undefined && !over

export function createAttemptEnds(options: EndOptions, consumer: () => Consumer): AttemptEnds {
  const { log, runner, watch } = options
  const settle = createSettlement(options, consumer)
  const hooks = createHooks(options)

  const leave = (attempt: Attempt, { handedBack }: { handedBack: boolean }) => {
    attempt.over = true
    stopTimers(attempt)
    if (attempt.context !== undefined) watch?.ended(attempt.delivery)
    attempt.onEnd(attempt, handedBack)
  }

  const close = (attempt: Attempt) => {
    if (attempt.over) return
    settle(attempt, attempt.ending!)
    leave(attempt, { handedBack: false })
  }

  /** The outcome is recorded after the hooks: if the worker dies meanwhile, both are done again. */
  const conclude = (attempt: Attempt, ending: Ending): Promise<void> | undefined => {
    attempt.ending = ending
    stopTimers(attempt)
    const waiting = hooks.after(attempt, ending)
    if (waiting !== undefined) return waiting.then(() => close(attempt))
    close(attempt)
    return undefined
  }

  const succeeded = (attempt: Attempt, value: unknown): Promise<void> | undefined => {
    const { startedAt, settings, delivery } = attempt
    const { id, task } = delivery.message.headers
    let result: string
    try {
      result = resultText(value, settings!.maxBytes)
    } catch (error) {
      return failed(attempt, error)
    }
    const endedAt = Date.now()
    log.info({ task, id, runtimeMs: endedAt - startedAt }, 'task succeeded')
    const ended = { traceback: null, error: undefined, retry: undefined, deadLetter: undefined }
    return conclude(attempt, { state: 'SUCCESS', result, value, startedAt, endedAt, ...ended })
  }

  const threw = (attempt: Attempt, given: unknown) => {
    const thrown = visible(given)
    // A body that cannot be read is the message's fault: no attempt would fare better.
    return thrown instanceof UndecodableMessageError
      ? failed(attempt, thrown)
      : follow(attempt, verdictOf(thrown, circumstances(attempt)))
  }

  const circumstances = ({ controller: { signal }, settings, context, delivery }: Attempt) => ({
    reason: signal.aborted ? signal.reason : undefined,
    policy: settings!.task.options,
    early: settings!.early,
    retries: context!.retries,
    until: context!.until,
    exhausted: context!.exhausted,
    now: Date.now(),
    delivery,
  })

  const follow = (attempt: Attempt, verdict: Verdict): Promise<void> | undefined => {
    const { id, task } = attempt.delivery.message.headers
    switch (verdict.tag) {
      case 'failed':
        return failed(attempt, verdict.error)
      case 'again':
        return again(attempt, verdict.error, verdict.dueAt)
      case 'revoked':
        log.warn({ task, id }, 'task was revoked while it ran, and stopped')
        return conclude(attempt, endedBy('REVOKED', verdict.error, attempt))
      case 'ignored':
        log.info({ task, id }, 'task wishes to be ignored, nothing is stored')
        ignored(attempt, verdict.error)
        return void leave(attempt, { handedBack: false })
      case 'rejected':
        return rejected(attempt, verdict)
      case 'handedBack':
        log.warn(
          { task, id, reason: verdict.reason },
          verdict.counted ? 'task lost its thread, handed back' : 'task stopped with its worker, handed back to run again',
        )
        return void handBack(attempt, verdict)
      default:
        return verdict satisfies never
    }
  }

  const ignored = (attempt: Attempt, error: unknown) => {
    const { id, task } = attempt.delivery.message.headers
    const effects = ignoredEffects(attempt, error, (err, part) => log.error({ task, id, part, err }, UNREADABLE_PART))
    consumer().finish(attempt.delivery, null, { effects })
  }

  const failed = (attempt: Attempt, error: unknown): Promise<void> | undefined => {
    const ending = endedBy('FAILURE', error, attempt)
    sayFailed(attempt, ending)
    return conclude(attempt, ending)
  }

  const sayFailed = ({ delivery, startedAt }: Attempt, { error, endedAt }: Ending) => {
    const { id, task } = delivery.message.headers
    if (error instanceof UndecodableMessageError)
      return log.error({ task, id, reason: error.message }, 'message cannot be decoded, recorded as FAILURE')
    const fields = { task, id, runtimeMs: endedAt - startedAt }
    try {
      log.error({ ...fields, err: error }, 'task failed')
    } catch {
      // What was thrown throws again when it is looked at.
      log.error({ ...fields, ...encodeThrown(error).exception }, 'task failed')
    }
  }

  const again = (attempt: Attempt, error: unknown, dueAt: Date): Promise<void> | undefined => {
    const { delivery, settings, context } = attempt
    const { id, task } = delivery.message.headers
    // A moment is the same for every attempt; a span is counted from the first one.
    const until = typeof settings!.task.options.retryUntil === 'number' ? context!.until : undefined
    const retry = { message: nextMessage(delivery.message, dueAt, until), dueAt }
    const ending = endedBy('RETRY', error, { startedAt: attempt.startedAt, retry })
    const { exc_type, exc_message } = ending.value as { exc_type: string; exc_message: readonly unknown[] }
    const reason = `${exc_type}: ${exc_message.join(', ')}`
    log.warn({ task, id, reason, attempt: context!.attempt, nextAt: dueAt.toISOString() }, 'task is to be tried again')
    return conclude(attempt, ending)
  }

  const rejected = (attempt: Attempt, { error, requeue }: Extract<Verdict, { tag: 'rejected' }>) => {
    const { id, task } = attempt.delivery.message.headers
    const reason = (error as Error).message
    log.warn({ task, id, reason }, requeue ? 'task gives its message back' : 'task rejected its message, kept as a dead letter')
    if (requeue) return void handBack(attempt, { counted: false })
    return conclude(attempt, endedBy('FAILURE', error, { startedAt: attempt.startedAt, deadLetter: reason }))
  }

  const handBack = (attempt: Attempt, { counted }: { counted: boolean }) => {
    if (attempt.over) return
    consumer().requeue(attempt.delivery, { counted })
    leave(attempt, { handedBack: true })
  }

  const abandon = ({ run }: Attempt): boolean => run !== undefined && runner?.abandon(run) === true

  return {
    succeeded,
    threw,
    leave,
    handBack,
    hooks,
    refused: (attempt, ending) => void conclude(attempt, ending),
    overtime(attempt, seconds) {
      if (!isOpen(attempt)) return
      const { id, task } = attempt.delivery.message.headers
      const error = new TimeLimitExceeded(seconds)
      const verdict = afterError(error, circumstances(attempt))
      const ended = abandon(attempt)
      log.error({ task, id, seconds }, ended ? OVERTIME_ENDED : OVERTIME_LEFT)
      void follow(attempt, verdict)
      // Whoever minds the signal stops here; what its code does is ignored.
      attempt.controller.abort(error)
    },
    revoked(attempt) {
      if (!isOpen(attempt)) return
      const ended = abandon(attempt)
      const { id, task } = attempt.delivery.message.headers
      log.warn(
        { task, id },
        ended ? 'revoked task does not stop, its thread was ended' : 'revoked task does not stop, its code may still run',
      )
      void conclude(attempt, endedBy('REVOKED', new Revocation(), attempt))
    },
    letGo(attempt) {
      if (attempt.over) return
      if (attempt.ending !== undefined) return close(attempt)
      abandon(attempt)
      const { id, task } = attempt.delivery.message.headers
      if (attempt.settings?.early === true) {
        log.error({ task, id }, 'task did not finish in time and was acknowledged early, recorded as FAILURE')
        attempt.ending = endedBy('FAILURE', lostEarly(), attempt)
        return close(attempt)
      }
      log.warn({ task, id }, 'task did not finish in time, handed back to run again')
      handBack(attempt, { counted: false })
    },
  }
}

const OVERTIME_ENDED = 'task exceeded its hard time limit, its thread was ended'
const OVERTIME_LEFT = 'task exceeded its hard time limit, its code may still run on the event loop'

/** A proxy may throw when it is only asked for its class: nobody after this line has to expect that. */
function visible(thrown: unknown): unknown {
  try {
    void (thrown instanceof Error)
    return thrown
  } catch {
    return new Error(UNSHOWN)
  }
}

function stopTimers({ timers }: Attempt): void {
  if (timers !== undefined) for (const timer of timers) clearTimeout(timer)
}
