import type { State } from '../../app/outcome.ts'
import type { Delivery } from '../../broker/broker.ts'
import type { Message } from '../../message/message.ts'
import { PARKED } from '../../message/private-headers.ts'
import { parseCeleryTime } from '../../message/typed-json.ts'

/** Why a message is recorded instead of run. */
export interface Refused {
  readonly state: State
  /** The class that Celery would raise. */
  readonly name: string
  readonly message: string
}

/** What the results table takes as an id. */
export const isRecordable = (id: unknown): boolean =>
  typeof id === 'string' && id.length >= 1 && id.length <= 255 && !id.includes('\0')

export const EXPIRED: Refused = Object.freeze({ state: 'REVOKED', name: 'TaskRevokedError', message: 'expired' })

/** undefined: it may run, now or at its time. */
export function refusalOf(
  { message, deliveries, refused }: Delivery,
  known: {
    readonly tasks: ReadonlyMap<string, unknown>
    readonly maxDeliveries: number
    readonly now: number
    readonly isRevoked?: ((message: Message) => boolean) | undefined
  },
): Refused | undefined {
  const { task, expires, eta } = message.headers
  if (refused !== undefined) return { state: 'FAILURE', ...refused }
  if (known.isRevoked?.(message)) return { state: 'REVOKED', name: 'TaskRevokedError', message: 'revoked' }
  if (deliveries > known.maxDeliveries)
    return { state: 'FAILURE', name: 'WorkerLostError', message: `ended its worker ${deliveries - 1} times, not run again` }
  const wrong = wrongTime('expires', expires) ?? wrongTime('ETA', eta)
  if (wrong !== undefined) return { state: 'FAILURE', name: 'InvalidTaskError', message: wrong }
  if (expires != null && parseCeleryTime(expires) <= known.now) return EXPIRED
  if (!known.tasks.has(task)) return { state: 'FAILURE', name: 'NotRegistered', message: task }
  return undefined
}

function wrongTime(name: string, value: unknown): string | undefined {
  if (value == null || (typeof value === 'string' && !Number.isNaN(parseCeleryTime(value)))) return undefined
  return `invalid ${name} value ${JSON.stringify(value)}`
}

export { PARKED }

/** When a message is to run that came too early, as a foreign producer sends it; undefined when it may run now. */
export function notBefore({ headers }: Delivery['message'], now: number): Date | undefined {
  const { eta } = headers
  if (eta == null || headers[PARKED] === eta) return undefined
  const at = parseCeleryTime(eta)
  return at > now ? new Date(at) : undefined
}
