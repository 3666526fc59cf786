import type { Arguments, Command, Panel } from './panel.ts'
import { pythonRepr } from './repr.ts'

/** Commands that change something, with Celery's names, arguments and answers. */
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
  // A Python worker that starts asks everybody what was revoked meanwhile; our answer carries the clock alone, and we keep what it tells.
  hello(panel, { from_node, revoked }) {
    if (from_node === panel.hostname) return null
    panel.revoked.add(Object.keys((revoked ?? {}) as object))
    return { revoked: {}, clock: panel.clock.forward() }
  },
  rate_limit: (panel, given) => notSupported(panel, given, 'rate limits'),
  time_limit: (panel, given) => notSupported(panel, given, 'time limits'),
  autoscale: () => ({ error: 'autoscaling is not supported by onedyno: use pool_grow and pool_shrink' }),
  pool_restart: () => ({
    error: 'there is no pool of processes to restart: use shutdown, and the supervisor starts the worker again',
  }),
}

/** What is not there is answered as an error, never as if it had been done. */
function notSupported({ tasks }: Panel, { task_name }: Arguments, what: string) {
  if (typeof task_name !== 'string' || !tasks.has(task_name)) return { error: 'unknown task' }
  return { error: `${what} are not supported by this version of onedyno: nothing was changed` }
}

/** Known here at once, and kept in the database for the workers that come later; without it the others have heard it all the same. */
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
  if (typeof queue !== 'string' || !/^[^\0,]{1,200}$/.test(queue)) return { error: `no name of a queue: ${pythonRepr(queue)}` }
  if (worker.queues.includes(queue)) return { ok: `already consuming from ${pythonRepr(queue)}` }
  await worker.reconfigure({ queues: [...worker.queues, queue] })
  return { ok: `add consumer ${queue}` }
}

async function cancelConsumer({ worker }: Panel, { queue }: Arguments) {
  if (typeof queue !== 'string') return { error: `no name of a queue: ${pythonRepr(queue)}` }
  if (worker.queues.includes(queue)) await worker.reconfigure({ queues: worker.queues.filter((each) => each !== queue) })
  return { ok: `no longer consuming from ${queue}` }
}

/** As CONCURRENCY. */
const MAX_CONCURRENCY = 1000

async function resize({ worker }: Panel, direction: 1 | -1, { n = 1 }: Arguments) {
  const by = Number(n)
  const concurrency = worker.concurrency + direction * by
  if (!Number.isSafeInteger(by) || by < 1 || concurrency < 1 || concurrency > MAX_CONCURRENCY)
    return { error: `ValueError('concurrency would be ${concurrency}, not 1 to ${MAX_CONCURRENCY}')` }
  await worker.reconfigure({ concurrency })
  return { ok: direction > 0 ? 'pool will grow' : 'pool will shrink' }
}

function enableEvents({ emitter, config }: Panel) {
  if (config.broker.kind === 'postgres') return { error: 'events are sent with RabbitMQ and Redis only' }
  return { ok: emitter.enable() ? 'task events enabled' : 'task events already enabled' }
}
