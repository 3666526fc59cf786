import type { Arguments, Command, Panel } from './panel.ts'
import { pythonRepr } from './repr.ts'

/** Commands that change the worker, with Celery's names, arguments and answers. */
export const CONTROL: Readonly<Record<string, Command>> = {
  revoke,
  terminate: (panel, given) => revoke(panel, { ...given, terminate: true }),
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
    panel.revoked.add(Object.keys((revoked ?? {}) as object))
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
  try {
    worker.setRateLimit(task_name, typeof rate_limit === 'number' || typeof rate_limit === 'string' ? rate_limit : null)
  } catch (error) {
    return { error: `Invalid rate limit string: ${(error as Error).message}` }
  }
  return { ok: rate_limit ? 'new rate limit set successfully' : 'rate limit disabled successfully' }
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
  if (value == null || value === 0) return undefined
  return typeof value === 'number' && Number.isFinite(value) && value > 0 ? value : null
}

/**
 * Revokes tasks in this worker at once, and stores the revocations for workers that start later. Other running workers receive
 * the same request.
 */
async function revoke(panel: Panel, { task_id, terminate }: Arguments) {
  const ids = [task_id ?? []].flat().filter((id): id is string => typeof id === 'string' && id !== '')
  if (ids.length === 0) return { error: 'task_id is missing' }
  const running = terminate === true ? ids.filter((id) => panel.worker.terminate(id)) : []
  panel.revoked.add(ids)
  await panel.keepRevoked(ids, terminate === true)
  if (terminate !== true) return { ok: `tasks {${ids.map(pythonRepr).join(', ')}} flagged as revoked` }
  return { ok: running.length > 0 ? `terminate: ${running.join(', ')}` : 'terminate: tasks unknown' }
}

async function addConsumer({ worker }: Panel, { queue }: Arguments) {
  if (typeof queue !== 'string' || !/^[^\0,]{1,200}$/.test(queue)) return { error: `not a queue name: ${pythonRepr(queue)}` }
  if (worker.queues.includes(queue)) return { ok: `already consuming from ${pythonRepr(queue)}` }
  await worker.reconfigure({ queues: [...worker.queues, queue] })
  return { ok: `add consumer ${queue}` }
}

async function cancelConsumer({ worker }: Panel, { queue }: Arguments) {
  if (typeof queue !== 'string') return { error: `not a queue name: ${pythonRepr(queue)}` }
  if (worker.queues.includes(queue)) await worker.reconfigure({ queues: worker.queues.filter((each) => each !== queue) })
  return { ok: `no longer consuming from ${queue}` }
}

/** The largest value that the option CONCURRENCY accepts. */
const MAX_CONCURRENCY = 1000

async function resize({ worker }: Panel, direction: 1 | -1, { n = 1 }: Arguments) {
  const change = Number(n)
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
