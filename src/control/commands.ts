import { addConsumer, cancelConsumer } from './consumer-commands.ts'
import type { Arguments, Command, Panel } from './panel.ts'
import { isText, isTruthy, itemsOf } from './python-values.ts'
import { pythonRepr } from './repr.ts'
import { revoke, revokeByStampedHeaders } from './revoke-commands.ts'

/** Commands that change the worker, with Celery's names, arguments and answers. */
export const CONTROL: Readonly<Record<string, Command>> = {
  revoke,
  terminate: (panel, given) => revoke(panel, { ...given, terminate: true }),
  revoke_by_stamped_headers: revokeByStampedHeaders,
  add_consumer: addConsumer,
  cancel_consumer: cancelConsumer,
  pool_grow: (panel, given) => resize(panel, +1, given),
  pool_shrink: (panel, given) => resize(panel, -1, given),
  enable_events: enableEvents,
  disable_events: ({ emitter }) => ({ ok: emitter.disable() ? 'task events disabled' : 'task events already disabled' }),
  heartbeat({ emitter }) {
    emitter.heartbeat()
    return null
  },
  shutdown({ shutdown }) {
    shutdown()
    return undefined
  },
  // When a Python worker starts, it asks all workers for revoked ids. We answer with our clock only, and add the revoked ids of
  // the request to our own.
  hello(panel, { from_node, revoked }) {
    if (from_node === panel.hostname) return null
    panel.revoked.add(itemsOf(revoked).filter(isText))
    return { revoked: {}, clock: panel.clock.forward() }
  },
  rate_limit: rateLimit,
  time_limit: timeLimit,
  autoscale: () => ({ error: 'autoscaling is not supported by onedyno: use pool_grow and pool_shrink' }),
  pool_restart: () => ({
    error: 'there is no pool of processes to restart: use shutdown, and the supervisor starts the worker again',
  }),
}

/** Sets the rate limit of a task in this worker until the worker ends. null, 0 or an empty text removes the limit. */
function rateLimit({ worker, tasks }: Panel, { task_name, rate_limit }: Arguments) {
  if (typeof task_name !== 'string' || !tasks.has(task_name)) return { error: 'unknown task' }
  const limit = isTruthy(rate_limit) ? rate_limit : null
  if (limit !== null && typeof limit !== 'number' && typeof limit !== 'string')
    return { error: `Invalid rate limit string: ${pythonRepr(limit)}` }
  try {
    worker.setRateLimit(task_name, limit)
  } catch (error) {
    return { error: `Invalid rate limit string: ${(error as Error).message}` }
  }
  return { ok: limit === null ? 'rate limit disabled successfully' : 'new rate limit set successfully' }
}

/**
 * Sets the time limits, in seconds, of later attempts of a task in this worker until the worker ends. A limit that is absent is
 * removed.
 */
function timeLimit({ worker, tasks }: Panel, { task_name, soft, hard }: Arguments) {
  if (typeof task_name !== 'string' || !tasks.has(task_name)) return { error: 'unknown task' }
  const [softSeconds, hardSeconds] = [seconds(soft), seconds(hard)]
  if (softSeconds === null || hardSeconds === null) return { error: 'time limits are numbers of seconds above 0' }
  worker.setTimeLimits(task_name, { soft: softSeconds, hard: hardSeconds })
  return { ok: 'time limits set successfully' }
}

/** Checks a time limit. @returns undefined for no limit, null if the value is not a number of seconds */
function seconds(value: unknown): number | undefined | null {
  if (!isTruthy(value)) return undefined
  return typeof value === 'number' && Number.isFinite(value) && value > 0 ? value : null
}

/** The largest value that the option CONCURRENCY accepts. */
const MAX_CONCURRENCY = 1000

async function resize({ worker }: Panel, direction: 1 | -1, { n }: Arguments) {
  const change = Number(n ?? 1)
  const concurrency = worker.concurrency + direction * change
  if (!Number.isSafeInteger(change) || change < 1 || concurrency < 1 || concurrency > MAX_CONCURRENCY)
    return { error: `ValueError('concurrency would be ${concurrency}, not 1 to ${MAX_CONCURRENCY}')` }
  await worker.reconfigure({ concurrency })
  return { ok: direction > 0 ? 'pool will grow' : 'pool will shrink' }
}

function enableEvents({ emitter, config }: Panel) {
  if (config.broker.kind === 'postgres') return { error: 'events are sent with RabbitMQ and Redis only' }
  return { ok: emitter.enable() ? 'task events enabled' : 'task events already enabled' }
}
