import type { App } from '../app/app.ts'
import { currentTask } from '../app/calls/current-task.ts'
import { traceRun } from '../app/calls/tracing.ts'
import { SoftTimeLimitExceeded } from '../app/task-errors.ts'
import type { Consumer } from '../broker/broker.ts'
import { decodeBody } from '../message/message.ts'
import { type AdmissionOptions, createAdmission } from './attempt/admission.ts'
import { type Attempt, addTimer, isOpen, isOver } from './attempt/attempt.ts'
import { type Conclude, type ConcludeOptions, createConclude } from './attempt/conclude.ts'
import { type ContextParts, RunContext } from './attempt/context.ts'
import { createEffectiveOptions, type Defaults, limitsOf, type TimeLimits } from './attempt/effective-options.ts'
import { isResultIgnored, startedOutcome } from './attempt/ending.ts'
import { Revocation } from './attempt/interruptions.ts'
import { createStillRunning, type StillRunning } from './attempt/still-running.ts'

export interface Executor {
  /** Runs one message and hands its outcome to the consumer. `attempt.onEnd` is called when the slot is free. Never throws. */
  execute(attempt: Attempt): void
  /** The worker stops and does not wait any longer. Stores the ending if it is decided; otherwise requeues the message. */
  cutOff(attempt: Attempt): void
  /** Aborts the signal of a revoked task. If the task does not stop, its attempt ends after a grace period. */
  terminate(attempt: Attempt): void
  /** Sets the time limits of a task for attempts that start from now on. */
  setTimeLimits(task: string, limits: TimeLimits): void
}

/** Only `app`, `log` and `maxDeliveries` are required. An optional part that is missing costs no time. */
export interface ExecutorOptions extends AdmissionOptions, ConcludeOptions, ContextParts, Defaults {
  readonly app: Pick<App, 'tasks'> & Partial<Pick<App, 'hooks' | 'routeOf'>>
}

/** A task that still runs after this time is stored as STARTED. A task that ends sooner is written only once. Milliseconds. */
const STARTED_AFTER_MS = 100
/** A revoked task that ignores its signal is stored as REVOKED after this time. Milliseconds. */
const REVOKED_AFTER_MS = 500

/**
 * From a message to its outcome, in these steps:
 *
 *     refuse → permit → decode → context → limits → run → verdict → ending → settle
 *
 * | step    | where                              | does                                                                        |
 * | ------- | ---------------------------------- | --------------------------------------------------------------------------- |
 * | refuse  | attempt/admission.ts               | ends revoked, expired, unknown and invalid messages without a run           |
 * | permit  | attempt/admission.ts, rate-limiter | parks messages before their eta or their turn under a rate limit            |
 * | decode  | message/message.ts                 | decodes the body                                                            |
 * | context | attempt/context.ts                 | makes the context that the task gets                                        |
 * | limits  | attempt/effective-options.ts       | starts the timers of the soft and the hard limit                            |
 * | run     | attempt/hooks.ts, where-code-runs  | `before` hooks, then the code, on the event loop or in a thread             |
 * | verdict | attempt/verdict.ts                 | decides what a thrown error means: failed, retried, requeued, …             |
 * | ending  | attempt/conclude.ts                | decides the ending, once, logs it, `after` hooks                            |
 * | settle  | attempt/ending.ts                  | outcome and effects to the broker, which stores them and acknowledges       |
 *
 * Every fault of message, task or result ends as a stored FAILURE. HOT: a plain task costs one promise here, beside that of its code.
 */
export function createExecutor(options: ExecutorOptions, consumer: () => Consumer): Executor {
  const { app, log, observer, route = app.routeOf } = options
  const effective = createEffectiveOptions(options)
  const conclude = createConclude({ ...options, route }, consumer)
  const admission = createAdmission(options, conclude, consumer)
  const stillRunning = createStillRunning<Attempt>(STARTED_AFTER_MS, (attempt) => {
    const { delivery, startedAt } = attempt
    if (isOpen(attempt)) consumer().started(delivery, startedOutcome(delivery.message, startedAt))
  })
  const start = createStart(options, conclude, stillRunning)

  const execute = (attempt: Attempt): void => {
    if (isOver(attempt) || admission.refuse(attempt)) return
    attempt.options = effective.of(attempt.delivery.message.headers.task)!
    const permit = admission.permit(attempt)
    void (permit === undefined ? run(attempt) : permit.then((granted) => (granted ? run(attempt) : undefined)))
  }

  const run = async (attempt: Attempt): Promise<void> => {
    const { delivery, options } = attempt
    try {
      // If acknowledging fails, another worker has the message, or will get it.
      if (options!.early && !(await consumer().acknowledge(delivery))) return conclude.release(attempt, { requeued: true })
      if (isOver(attempt)) return
      observer?.started(delivery)
      let value: unknown
      try {
        value = await start(attempt)
      } catch (thrown) {
        stillRunning.ended(attempt)
        if (isOpen(attempt)) await conclude.threw(attempt, thrown)
        return
      }
      stillRunning.ended(attempt)
      const hooks = isOpen(attempt) ? conclude.returned(attempt, value) : undefined
      if (hooks !== undefined) await hooks
    } catch (err) {
      const { id, task } = delivery.message.headers
      log.error({ task, id, err }, 'unexpected failure in the worker, task is requeued')
      conclude.requeue(attempt, { counted: true })
    }
  }

  return {
    execute,
    cutOff: conclude.cutOff,
    terminate(attempt) {
      attempt.controller.abort(new Revocation())
      if (isOpen(attempt)) addTimer(attempt, setTimeout(conclude.revoked, REVOKED_AFTER_MS, attempt))
    },
    setTimeLimits: effective.setTimeLimits,
  }
}

/**
 * Creates the function for the steps decode → context → limits → run. The function throws, or rejects with, what the code
 * throws, or UndecodableMessageError.
 */
function createStart(
  { runner, tracing, watch, ...parts }: ExecutorOptions,
  conclude: Conclude,
  stillRunning: StillRunning<Attempt>,
): (attempt: Attempt) => Promise<unknown> {
  const contextParts: ContextParts = { log: parts.log, reporter: parts.reporter, tracing }

  const start = (attempt: Attempt): Promise<unknown> => {
    const { message } = attempt.delivery
    const { task } = attempt.options!
    const body = decodeBody(message.body)
    const context = new RunContext(message, body, { attempt, policy: task.options, parts: contextParts })
    attempt.body = body
    attempt.context = context
    // If the task needs a thread, its limits count from the moment when it has one.
    if (runner?.waits(task) !== true) startLimits(attempt)
    if (tracing !== true) return currentTask.run(context, runHooksAndCode, attempt)
    const { headers, queue } = message
    const span = { id: headers.id, task: headers.task, queue, headers }
    return currentTask.run(context, () => traceRun(span, () => runHooksAndCode(attempt)))
  }

  const startLimits = (attempt: Attempt): void => {
    if (!isOpen(attempt)) return
    const { delivery, options } = attempt
    const { soft, hard } = limitsOf(delivery.message.headers.timelimit, options!.limits)
    if (!isResultIgnored(attempt)) stillRunning.begun(attempt)
    if (soft !== undefined) addTimer(attempt, setTimeout(onSoftLimit, soft * 1000, attempt, soft))
    if (hard !== undefined) addTimer(attempt, setTimeout(conclude.overtime, hard * 1000, attempt, hard))
    watch?.begun(delivery, hard === undefined ? undefined : hard * 1000)
  }

  const runHooksAndCode = (attempt: Attempt): Promise<unknown> => {
    const hooks = conclude.hooks.before(attempt)
    if (hooks === undefined) return runCode(attempt)
    return hooks.then(() => (isOpen(attempt) ? runCode(attempt) : undefined))
  }

  const runCode = (attempt: Attempt): Promise<unknown> => {
    const { delivery } = attempt
    const { task } = attempt.options!
    const context = attempt.context!
    const body = attempt.body!
    if (runner === undefined) return task.run(context, body.args)
    const begun = runner.waits(task) ? () => startLimits(attempt) : undefined
    attempt.run = { task, delivery, body, context, begun }
    return runner.run(attempt.run)
  }

  return start
}

const onSoftLimit = (attempt: Attempt, seconds: number): void => attempt.controller.abort(new SoftTimeLimitExceeded(seconds))
