import { currentTask } from '../../app/calls/current-task.ts'
import { SoftTimeLimitExceeded } from '../../app/task-errors.ts'
import type { Consumer } from '../../broker/broker.ts'
import type { Log } from '../../log.ts'
import { decodeBody } from '../../message/message.ts'
import { type Attempt, addTimer } from './attempt.ts'
import { type AttemptEnds, isOpen } from './conclude.ts'
import { type ContextParts, RunContext } from './context.ts'
import type { TaskSettings } from './effective-options.ts'
import { isResultIgnored, startedOutcome } from './ending.ts'
import { limitsOf } from './limits.ts'
import type { WorkerObserver } from './observer.ts'
import type { LoopWatch, Reporter, Runner, Tracing } from './ports.ts'
import { createStillRunning } from './still-running.ts'

export interface RunOptions {
  readonly log: Log
  readonly observer?: WorkerObserver | undefined
  /** Where code runs. Default: on the event loop. */
  readonly runner?: Runner | undefined
  /** What a run says of itself. Default: its lines go to `log`, its progress nowhere. */
  readonly reporter?: Reporter | undefined
  readonly tracing?: Tracing | undefined
  readonly watch?: LoopWatch | undefined
}

/** A task that still runs after this many milliseconds is recorded as STARTED; a shorter one is never written twice. */
const STARTED_AFTER_MS = 100

/** Runs the code of an attempt, to its end. Never rejects. HOT. */
export function createRun(
  options: RunOptions,
  ends: AttemptEnds,
  consumer: () => Consumer,
): (attempt: Attempt, settings: TaskSettings) => Promise<void> {
  const { log, observer, runner, reporter, tracing, watch } = options
  const parts: ContextParts = { log, reporter, tracing }
  const running = createStillRunning(STARTED_AFTER_MS, sayStarted)

  return async (attempt, settings) => {
    const { delivery } = attempt
    try {
      // Another worker will have it, or has it.
      if (settings.early && !(await consumer().acknowledge(delivery))) return ends.leave(attempt, { handedBack: true })
      if (attempt.over) return
      observer?.started(delivery)
      let value: unknown
      try {
        value = await begin(attempt, settings)
      } catch (thrown) {
        running.ended(attempt)
        if (isOpen(attempt)) await ends.threw(attempt, thrown)
        return
      }
      running.ended(attempt)
      const waiting = isOpen(attempt) ? ends.succeeded(attempt, value) : undefined
      if (waiting !== undefined) await waiting
    } catch (err) {
      const { id, task } = delivery.message.headers
      log.error({ task, id, err }, 'unexpected failure of the worker, task handed back')
      ends.handBack(attempt, { counted: true })
    }
  }

  function begin(attempt: Attempt, settings: TaskSettings): Promise<unknown> {
    const { message } = attempt.delivery
    const body = decodeBody(message.body)
    const context = new RunContext(message, body, { attempt, policy: settings.task.options, parts })
    attempt.body = body
    attempt.context = context
    // In a thread it may have to wait for one: that is not its time.
    if (runner?.waits(settings.task) !== true) startTimers(attempt, settings)
    if (tracing === undefined) return currentTask.run(context, prepared, attempt, settings)
    return currentTask.run(context, () => tracing.run(message, () => prepared(attempt, settings)))
  }

  function prepared(attempt: Attempt, settings: TaskSettings): Promise<unknown> {
    const waiting = ends.hooks.before(attempt)
    if (waiting === undefined) return code(attempt, settings)
    return waiting.then(() => (isOpen(attempt) ? code(attempt, settings) : undefined))
  }

  function code(attempt: Attempt, settings: TaskSettings): Promise<unknown> {
    const { task } = settings
    const { delivery } = attempt
    const context = attempt.context!
    const body = attempt.body!
    if (runner === undefined) return task.run(context, body.args)
    const begun = runner.waits(task) ? () => startTimers(attempt, settings) : undefined
    attempt.run = { task, delivery, body, context, begun }
    return runner.run(attempt.run)
  }

  function startTimers(attempt: Attempt, settings: TaskSettings): void {
    if (!isOpen(attempt)) return
    const { delivery } = attempt
    const { soft, hard } = limitsOf(delivery.message.headers.timelimit, settings.limits)
    if (!isResultIgnored(attempt)) running.begun(attempt)
    if (soft !== undefined)
      addTimer(
        attempt,
        setTimeout(() => attempt.controller.abort(new SoftTimeLimitExceeded(soft)), soft * 1000),
      )
    if (hard !== undefined) addTimer(attempt, setTimeout(ends.overtime, hard * 1000, attempt, hard))
    watch?.begun(delivery, hard === undefined ? undefined : hard * 1000)
  }

  function sayStarted(attempt: Attempt): void {
    const { delivery, startedAt } = attempt
    if (isOpen(attempt)) consumer().started(delivery, startedOutcome(delivery.message, startedAt))
  }
}
