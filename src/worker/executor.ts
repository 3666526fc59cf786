import type { App } from '../app/app.ts'
import type { RouteOf } from '../app/canvas/plan.ts'
import type { Consumer } from '../broker/broker.ts'
import type { Log } from '../log.ts'
import type { Message } from '../message/message.ts'
import { PARKED } from '../message/private-headers.ts'
import { parseCeleryTime } from '../message/typed-json.ts'
import { EXPIRED, isRecordable, notBefore, type Refused, refusalOf } from './attempt/admission.ts'
import { type Attempt, addTimer } from './attempt/attempt.ts'
import { createAttemptEnds, isOpen } from './attempt/conclude.ts'
import { createSettings, type TaskSettings } from './attempt/effective-options.ts'
import { encodeException } from './attempt/exception.ts'
import { Revocation } from './attempt/interruptions.ts'
import type { TimeLimits } from './attempt/limits.ts'
import type { WorkerObserver } from './attempt/observer.ts'
import type { Limiter, LoopWatch, Place, Reporter, Runner, Tracing } from './attempt/ports.ts'
import { withPlace } from './attempt/rate-limiter.ts'
import { createRun } from './attempt/run-attempt.ts'

export interface Executor {
  /** Runs one message and reports its outcome to the consumer; `attempt.onEnd` is called once the slot is free. Never throws. */
  execute(attempt: Attempt): void
  /** The worker has no more time for it: recorded as far as it is known, else handed back. */
  letGo(attempt: Attempt): void
  /** Aborts its signal; a task that does not mind is over all the same a moment later. */
  terminate(attempt: Attempt): void
  /** For attempts that begin from now on. */
  setTimeLimits(task: string, limits: TimeLimits): void
}

/** All but the first three are parts that may be missing, and then cost nothing. */
export interface ExecutorOptions {
  readonly app: Pick<App, 'tasks'> & Partial<Pick<App, 'hooks' | 'routeOf'>>
  readonly log: Log
  /** A task delivered more often is recorded as FAILURE instead of run. */
  readonly maxDeliveries: number
  /** Keeps a message that is to run later, durable when resolved. Without it such a message runs at once. */
  readonly park?: ((message: Message, dueAt: Date) => Promise<void>) | undefined
  /** Is told what happens to tasks: for events and statistics. */
  readonly observer?: WorkerObserver | undefined
  /** Such a message is recorded as REVOKED instead of run. */
  readonly isRevoked?: ((message: Message) => boolean) | undefined
  /** For tasks and messages that set none. */
  readonly timeLimits?: TimeLimits | undefined
  /** Bytes of a result's JSON, for tasks that set no limit. Default: any. */
  readonly resultMaxBytes?: number | undefined
  /** Where code runs. Default: on the event loop. */
  readonly runner?: Runner | undefined
  /** Rate limits; needs `park`. */
  readonly limiter?: Limiter | undefined
  /** What a run says of itself. Default: its lines go to `log`, its progress nowhere. */
  readonly reporter?: Reporter | undefined
  readonly tracing?: Tracing | undefined
  readonly watch?: LoopWatch | undefined
  /** Where the next steps of a workflow go. Default: where their tasks say. */
  readonly route?: RouteOf | undefined
}

/** A revoked task that ignores its signal is recorded as REVOKED after so many milliseconds. */
const REVOKED_AFTER_MS = 500
/** Refusals after which the message may be wanted again: by a worker that knows the task, or when its fault is mended. */
const KEPT_ASIDE: ReadonlySet<string> = new Set(['NotRegistered', 'WorkerLostError'])

/** From a message to its outcome. Whatever is wrong with message, task or result ends as a recorded FAILURE, never as a crash. */
export function createExecutor(options: ExecutorOptions, consumer: () => Consumer): Executor {
  const { app, log, maxDeliveries, isRevoked, limiter, park, route = app.routeOf } = options
  const settings = createSettings(options)
  const ends = createAttemptEnds({ ...options, route }, consumer)
  const run = createRun(options, ends, consumer)

  /** When the task's rate limit lets it begin; undefined: now. */
  const placeOf = ({ delivery }: Attempt, { task }: TaskSettings) =>
    limiter === undefined || park === undefined ? undefined : limiter.admit(delivery.message, task)

  const admitLater = async (attempt: Attempt, own: TaskSettings, asked: Place | Promise<Place>): Promise<void> => {
    const place = await Promise.resolve(asked).catch((err) => {
      // It is worse not to run at all than to run too often.
      log.error({ task: own.task.name, err }, 'rate limit cannot be asked for, task runs without it')
      return undefined
    })
    // Revoked or handed back meanwhile: kept as well, it would be there twice.
    if (attempt.over) return
    const { message } = attempt.delivery
    if (place === undefined) await run(attempt, own)
    else if (place === 'expired') refuse(attempt, EXPIRED)
    else await keep(attempt, place, parked(withPlace(message), place))
  }

  /** The outbox keeps it until its time, so that neither this worker's memory nor the broker's patience with the unacknowledged does. */
  const keep = async (attempt: Attempt, dueAt: Date, message: Message): Promise<void> => {
    const { id, task, eta } = message.headers
    try {
      await park?.(message, dueAt)
      if (attempt.over) return
      log.info({ task, id, eta }, 'task is early, kept in the outbox until its time')
      consumer().finish(attempt.delivery, null)
      // Its time may have come before the answer: then what waits here with its id is this very message, and the only one.
      ends.leave(attempt, { handedBack: true })
    } catch (error) {
      log.warn({ task, id, reason: (error as Error).message }, 'task is early and could not be kept, handed back')
      ends.handBack(attempt, { counted: false })
    }
  }

  const keepAside = (attempt: Attempt): void => {
    const { message, refused } = attempt.delivery
    const fields = { task: message.headers.task, queue: message.queue }
    log.error(fields, 'message has no usable id, kept aside in dead_letter')
    consumer().deadLetter(attempt.delivery, { reason: refused?.message ?? 'no usable id' })
    ends.leave(attempt, { handedBack: false })
  }

  const refuse = (attempt: Attempt, { state, name, message }: Refused): void => {
    const { headers, queue } = attempt.delivery.message
    const fields = { task: headers.task, id: headers.id, queue, reason: message }
    if (state === 'REVOKED') log.info(fields, 'task is not wanted any more, not run')
    else log.error(fields, name === 'NotRegistered' ? NOT_REGISTERED : 'task refused, recorded as FAILURE')
    const value = encodeException(name, [message])
    const ended = { startedAt: null, endedAt: Date.now(), error: undefined, traceback: null, retry: undefined }
    const deadLetter = KEPT_ASIDE.has(name) ? `${name}: ${message}` : undefined
    ends.refused(attempt, { state, value, result: JSON.stringify(value), deadLetter, ...ended })
  }

  return {
    execute(attempt) {
      if (attempt.over) return
      const { delivery, startedAt } = attempt
      const { message } = delivery
      if (!isRecordable(message.headers.id)) return keepAside(attempt)
      const problem = refusalOf(delivery, { tasks: app.tasks, maxDeliveries, now: startedAt, isRevoked })
      if (problem !== undefined) return refuse(attempt, problem)
      const own = settings.of(message.headers.task)!
      attempt.settings = own
      const dueAt = park === undefined ? undefined : notBefore(message, startedAt)
      if (dueAt !== undefined) return void keep(attempt, dueAt, parked(message, dueAt))
      const place = placeOf(attempt, own)
      void (place === undefined ? run(attempt, own) : admitLater(attempt, own, place))
    },
    letGo: ends.letGo,
    terminate(attempt) {
      attempt.controller.abort(new Revocation())
      if (isOpen(attempt)) addTimer(attempt, setTimeout(ends.revoked, REVOKED_AFTER_MS, attempt))
    },
    setTimeLimits: settings.setTimeLimits,
  }
}

const NOT_REGISTERED = 'task is not registered here, recorded as FAILURE'

/** Marked with its time, so that whoever gets it from the outbox runs it, also when its own clock is behind. */
function parked(message: Message, dueAt: Date): Message {
  const { eta } = message.headers
  const at = eta != null && parseCeleryTime(eta) === dueAt.getTime() ? eta : dueAt.toISOString()
  return { ...message, headers: { ...message.headers, eta: at, [PARKED]: at } }
}
