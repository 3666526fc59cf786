import type { State } from '../../app/outcome.ts'
import type { Consumer, Delivery } from '../../broker/broker.ts'
import type { Log } from '../../log.ts'
import type { Message } from '../../message/message.ts'
import { parseCeleryTime } from '../../message/message.ts'
import { PARKED } from '../../message/private-headers.ts'
import { type Attempt, type Ending, isOver } from './attempt.ts'
import type { Conclude } from './conclude.ts'
import { encodeException } from './exception.ts'
import { parked } from './parked-message.ts'
import type { Limiter, Permit } from './ports.ts'
import { withPermit } from './rate-limiter.ts'

/** The reason why a message is stored as ended instead of run. */
export interface Refused {
  readonly state: State
  /** The name of the exception class that Celery would raise. */
  readonly name: string
  readonly message: string
}

export interface RefusalRules {
  readonly app: { readonly tasks: ReadonlyMap<string, unknown> }
  /** A message that is delivered more often than this is stored as FAILURE. */
  readonly maxDeliveries: number
  /** Returns true for a revoked message, which is stored as REVOKED. */
  readonly isRevoked?: ((message: Message) => boolean) | undefined
}

export interface AdmissionOptions extends RefusalRules {
  readonly log: Log
  /**
   * Stores a message that runs later. When its promise resolves, the message is durable. Without `park`, such a message runs at
   * once.
   */
  readonly park?: ((message: Message, dueAt: Date) => Promise<void>) | undefined
  /** Rate limits, which need `park`. undefined: no task is limited. */
  readonly limiter?: Limiter | undefined
}

/**
 * The first two steps of an attempt: they decide whether its message may run, and when. HOT: allocates nothing for a message
 * that may run now.
 */
export interface Admission {
  /** Ends the attempt if its message must not run. @returns true if the attempt was ended */
  refuse(attempt: Attempt): boolean
  /**
   * Waits until the task may run. Returns undefined if it may run now; otherwise a promise of true when it may run, or of false
   * if the attempt has ended. Never rejects.
   */
  permit(attempt: Attempt): Promise<boolean> | undefined
}

export function createAdmission(options: AdmissionOptions, conclude: Conclude, consumer: () => Consumer): Admission {
  const { log, limiter, park } = options

  const deadLetter = (attempt: Attempt): void => {
    const { message, refused } = attempt.delivery
    const fields = { task: message.headers.task, queue: message.queue }
    log.error(fields, 'message has no usable id and is kept as a dead letter')
    consumer().deadLetter(attempt.delivery, { reason: refused?.message ?? 'no usable id' })
    conclude.release(attempt, { requeued: false })
  }

  const end = (attempt: Attempt, refused: Refused): void => {
    const { state, name, message } = refused
    const { headers, queue } = attempt.delivery.message
    const fields = { task: headers.task, id: headers.id, queue, reason: message }
    if (state === 'REVOKED') log.info(fields, 'task is revoked or expired, so it does not run')
    else log.error(fields, name === 'NotRegistered' ? NOT_REGISTERED : 'message cannot run and is stored as FAILURE')
    conclude.refused(attempt, refusedEnding(refused))
  }

  /**
   * Parks the message in the outbox until its time, so that neither the memory of this worker nor the broker's acknowledge
   * timeout limits how long it waits.
   */
  const keep = async (attempt: Attempt, dueAt: Date, message: Message): Promise<false> => {
    const { id, task, eta } = message.headers
    try {
      await park?.(message, dueAt)
      if (isOver(attempt)) return false
      log.info({ task, id, eta }, 'task is not due yet, message waits in the outbox until its eta')
      consumer().finish(attempt.delivery, null)
      // Before `park` resolves, the parked message may be due and arrive here as a duplicate. That duplicate is then the only
      // copy, so it must be requeued.
      conclude.release(attempt, { requeued: true })
    } catch (error) {
      log.warn(
        { task, id, reason: (error as Error).message },
        'task is not due yet and could not be stored in the outbox, message is requeued',
      )
      conclude.requeue(attempt, { counted: false })
    }
    return false
  }

  const permitLater = async (attempt: Attempt, asked: Permit | Promise<Permit>): Promise<boolean> => {
    const permit = await Promise.resolve(asked).catch((err) => {
      // It is better to exceed the limit than not to run the task at all.
      log.error({ task: attempt.options!.task.name, err }, 'rate limit is unavailable, task runs without it')
      return undefined
    })
    // The attempt was revoked or requeued while it waited. If its message were parked too, it would exist twice.
    if (isOver(attempt)) return false
    if (permit === undefined) return true
    if (permit !== 'expired') return keep(attempt, permit, parked(withPermit(attempt.delivery.message), permit))
    end(attempt, EXPIRED)
    return false
  }

  return {
    refuse(attempt) {
      const { delivery, startedAt } = attempt
      if (!isStorable(delivery.message.headers.id)) {
        deadLetter(attempt)
        return true
      }
      const refused = refusalOf(delivery, options, startedAt)
      if (refused !== undefined) end(attempt, refused)
      return refused !== undefined
    },
    permit(attempt) {
      if (park === undefined) return undefined
      const { delivery, options, startedAt } = attempt
      const dueAt = notBefore(delivery.message, startedAt)
      if (dueAt !== undefined) return keep(attempt, dueAt, parked(delivery.message, dueAt))
      const permit = limiter?.admit(delivery.message, options!.task)
      return permit === undefined ? undefined : permitLater(attempt, permit)
    },
  }
}

const NOT_REGISTERED = 'task is not registered in this worker, message is stored as FAILURE'
/**
 * Refusals after which the message is kept as a dead letter, because it can run later: in a worker that has the task, or after
 * its fault is repaired.
 */
const DEAD_LETTERS: ReadonlySet<string> = new Set(['NotRegistered', 'WorkerLostError'])
const EXPIRED: Refused = Object.freeze({ state: 'REVOKED', name: 'TaskRevokedError', message: 'expired' })

function refusedEnding({ state, name, message }: Refused): Ending {
  const value = encodeException(name, [message])
  const none = { startedAt: null, error: undefined, traceback: null, retry: undefined }
  const deadLetter = DEAD_LETTERS.has(name) ? `${name}: ${message}` : undefined
  return { tag: 'ending', state, value, result: JSON.stringify(value), endedAt: Date.now(), deadLetter, ...none }
}

/** Returns true if the results table can store this id. */
const isStorable = (id: unknown): boolean => typeof id === 'string' && id.length >= 1 && id.length <= 255 && !id.includes('\0')

/**
 * Returns the reason to refuse a message; undefined if the message may run, now or at its eta.
 * @param now milliseconds since the epoch
 */
function refusalOf({ message, deliveries, refused }: Delivery, rules: RefusalRules, now: number): Refused | undefined {
  const { task, expires, eta } = message.headers
  if (refused !== undefined) return { state: 'FAILURE', ...refused }
  if (rules.isRevoked?.(message)) return { state: 'REVOKED', name: 'TaskRevokedError', message: 'revoked' }
  if (deliveries > rules.maxDeliveries)
    return { state: 'FAILURE', name: 'WorkerLostError', message: `ended its worker ${deliveries - 1} times, not run again` }
  const wrong = wrongTime('expires', expires) ?? wrongTime('ETA', eta)
  if (wrong !== undefined) return { state: 'FAILURE', name: 'InvalidTaskError', message: wrong }
  if (expires != null && parseCeleryTime(expires) <= now) return EXPIRED
  if (!rules.app.tasks.has(task)) return { state: 'FAILURE', name: 'NotRegistered', message: task }
  return undefined
}

function wrongTime(name: string, value: unknown): string | undefined {
  if (value == null || (typeof value === 'string' && !Number.isNaN(parseCeleryTime(value)))) return undefined
  return `invalid ${name} value ${JSON.stringify(value)}`
}

/**
 * Returns the eta of a message that arrived before its eta, as messages of other producers than ours do; undefined if the
 * message may run now.
 */
function notBefore({ headers }: Message, now: number): Date | undefined {
  const { eta } = headers
  if (eta == null || headers[PARKED] === eta) return undefined
  const at = parseCeleryTime(eta)
  return at > now ? new Date(at) : undefined
}
