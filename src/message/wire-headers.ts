import type { MessageHeaders } from './message.ts'

/** Headers that RabbitMQ adds (dead lettering, quorum queues, federation). They describe one delivery, not the task. */
const OF_THE_BROKER = /^x-(?:death|first-death|last-death|delivery-count|received-from)/

/**
 * Headers that our own encoder adds. They are not kept when a message of ours is decoded, because the encoder adds them again.
 */
const OURS = new Set(['lang', 'argsrepr', 'kwargsrepr', 'origin'])

const NULL_BY_DEFAULT = new Set([
  ...['shadow', 'eta', 'expires', 'group', 'group_index', 'root_id', 'parent_id', 'stamped_headers', 'stamps'],
  ...[
    'retries',
    'timelimit',
    'ignore_result',
    'replaced_task_nesting',
    'compression',
    'lang',
    'argsrepr',
    'kwargsrepr',
    'origin',
  ],
])

/**
 * Removes headers with default values, headers of the broker, and `compression`, because the body is decompressed. All headers
 * that Celery's workflows need are kept: group, root, parent, stamps, custom headers. HOT: once per message.
 */
export function sparseHeaders(headers: Readonly<Record<string, unknown>>, id: string, task: string): MessageHeaders {
  const sparse: Record<string, unknown> = { id, task }
  const ours = headers.lang === 'js'
  for (const name in headers) {
    const value = headers[name]
    if (name === 'id' || name === 'task' || isDefault(name, value, id)) continue
    if (ours && OURS.has(name)) continue
    if (name.startsWith('x-') && OF_THE_BROKER.test(name)) continue
    sparse[name] = value
  }
  return sparse as MessageHeaders
}

function isDefault(name: string, value: unknown, id: string): boolean {
  if (value === null) return NULL_BY_DEFAULT.has(name)
  switch (name) {
    case 'compression':
      return true
    case 'retries':
      // The count is stored in an integer column. Any other value is read as 0.
      return !Number.isInteger(value) || (value as number) <= 0 || (value as number) > 0x7fffffff
    case 'timelimit':
      return !Array.isArray(value) || (value[0] == null && value[1] == null)
    case 'root_id':
      return value === id
    case 'ignore_result':
      return value === false
    case 'replaced_task_nesting':
      return value === 0
    case 'stamps':
      return typeof value === 'object' && Object.keys(value as object).length === 0
    default:
      return false
  }
}

/** Reads headers of protocol 1, which are in the body (docs/internals/wire-protocol.md, "Protocol 1"). */
export function headersOfProtocol1(body: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const { args, kwargs, callbacks, errbacks, chord, utc, taskset, ...headers } = body
  return taskset == null ? headers : { group: taskset, ...headers }
}
