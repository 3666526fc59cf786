import { describe, expect, it } from 'vitest'
import type { QueueBinding } from '../../../src/broker/control-transport.ts'
import type { Panel } from '../../../src/control/panel.ts'
import { find } from '../../../src/control/serve.ts'
import { createMessage } from '../../../src/message/message.ts'
import type { Active } from '../../../src/worker/worker.ts'

/** A running task `id` with stamps. */
const running = (id: string, stamps: object): Active => ({
  delivery: {
    message: createMessage({ id, task: 'tasks.wait', args: [], headers: { stamped_headers: Object.keys(stamps), stamps } }),
    deliveries: 1,
    tag: undefined,
  },
  startedAt: 0,
})

/** The panel of a worker that runs the tasks `a` (customer 7) and `b` (customers 8 and 9). */
function openPanel() {
  const did = {
    terminated: [] as string[],
    revoked: [] as string[],
    kept: [] as unknown[],
    stamps: [] as unknown[],
    bound: [] as QueueBinding[],
    limits: [] as unknown[],
    queues: ['celery'] as readonly string[],
  }
  const active = [running('a', { customer: '7' }), running('b', { customer: ['8', '9'] })]
  const worker = {
    get queues() {
      return did.queues
    },
    concurrency: 4,
    active: () => active,
    reserved: () => [],
    terminate(id: string) {
      if (!active.some(({ delivery }) => delivery.message.headers.id === id)) return false
      did.terminated.push(id)
      return true
    },
    setRateLimit: (_task: string, limit: unknown) => void did.limits.push(limit),
    setTimeLimits: (_task: string, limits: unknown) => void did.limits.push(limits),
    async reconfigure(change: { queues?: readonly string[] }) {
      did.queues = change.queues ?? did.queues
    },
  }
  const panel = {
    hostname: 'celery@ours',
    worker,
    tasks: new Map([['tasks.wait', {}]]),
    clock: { forward: () => 1 },
    revoked: {
      ids: () => did.revoked,
      add: (ids: readonly string[]) => void did.revoked.push(...ids),
      addStamps: (stamps: unknown) => void did.stamps.push(stamps),
    },
    keepRevoked: async (ids: readonly string[], terminate: boolean) => void did.kept.push([ids, terminate]),
    bindQueue: async (binding: QueueBinding) => void did.bound.push(binding),
  } as unknown as Panel
  const ask = async (method: string, given: Record<string, unknown>) => find(method)!(panel, given)
  return { did, panel, ask }
}

describe('revoke', () => {
  it.each([
    ['true', true, true],
    ['1, as from Flower', 1, true],
    ['a text', 'yes', true],
    ['false', false, false],
    ['0', 0, false],
    ['an empty text', '', false],
    ['None', null, false],
    ['a missing value', undefined, false],
  ])('reads %s (%j) as the flag terminate with the value %s', async (_name, terminate, ends) => {
    const { did, ask } = openPanel()
    const answer = await ask('revoke', { task_id: 'a', terminate, signal: 'SIGTERM' })
    expect(answer).toEqual({ ok: ends ? 'terminate: a' : "tasks {'a'} flagged as revoked" })
    expect(did).toMatchObject({ terminated: ends ? ['a'] : [], revoked: ['a'], kept: [[['a'], ends]] })
  })

  it('takes ids from `terminate` and from a list', async () => {
    const { did, ask } = openPanel()
    expect(await ask('terminate', { signal: 'KILL', task_id: ['a', 'unknown'] })).toEqual({ ok: 'terminate: a' })
    expect(did.revoked).toEqual(['a', 'unknown'])
  })
})

describe('revoke_by_stamped_headers', () => {
  it.each([
    ['one value of a stamp', { customer: '7' }, 1, 'terminate: a'],
    ['a list of values of a stamp', { customer: ['7', '9'] }, 1, 'terminate: a, b'],
    ['the texts of the command line', ['customer=8'], true, 'terminate: b'],
    ['stamps that no task has', { customer: '1', other: '7' }, 1, 'terminate: tasks unknown'],
    ['the flag terminate off', { customer: '7' }, 0, "headers {'customer': '7'} flagged as revoked, but not terminated"],
    ['no stamp', {}, false, 'headers {} flagged as revoked, but not terminated'],
  ])('answers ok to a request with %s', async (_name, headers, terminate, ok) => {
    const { did, ask } = openPanel()
    expect(await ask('revoke_by_stamped_headers', { headers, terminate, signal: 'SIGTERM' })).toEqual({ ok })
    expect(did.stamps).toHaveLength(1)
  })

  it.each([[undefined], ['customer'], [['customer']], [7]])('refuses %j as headers', async (headers) => {
    const { did, ask } = openPanel()
    expect(await ask('revoke_by_stamped_headers', { headers })).toEqual({ error: expect.stringContaining('neither a dict') })
    expect(did.stamps).toEqual([])
  })
})

describe('add_consumer', () => {
  it.each([
    ['the queue alone', {}],
    ["the values of Celery's client", { exchange: null, exchange_type: 'direct', routing_key: null }],
    ['the names that are the default', { exchange: 'extra', routing_key: 'extra' }],
  ])('takes from the queue without a binding for %s', async (_name, given) => {
    const { did, ask } = openPanel()
    expect(await ask('add_consumer', { queue: 'extra', ...given })).toEqual({ ok: 'add consumer extra' })
    expect(did).toMatchObject({ queues: ['celery', 'extra'], bound: [] })
  })

  it.each([
    [{ exchange: 'orders' }, { exchange: 'orders', type: 'direct', routingKey: 'extra' }],
    [{ routing_key: 'key' }, { exchange: 'extra', type: 'direct', routingKey: 'key' }],
    [
      { exchange: 'orders', exchange_type: 'topic', routing_key: 'order.#' },
      { exchange: 'orders', type: 'topic', routingKey: 'order.#' },
    ],
  ])('binds the queue for %j', async (given, binding) => {
    const { did, ask } = openPanel()
    expect(await ask('add_consumer', { queue: 'extra', ...given })).toEqual({ ok: 'add consumer extra' })
    expect(did.bound).toEqual([{ queue: 'extra', ...binding }])
  })

  it.each([
    [{ exchange_type: 'headers' }, 'not direct, fanout or topic'],
    [{ exchange: 7 }, 'exchange is not a text'],
    [{ routing_key: 'k'.repeat(256) }, 'routing_key is not a text'],
    [{ queue_arguments: { 'x-max-priority': 5 } }, "does not take 'queue_arguments'"],
  ])('refuses the arguments %j', async (given, error) => {
    const { did, ask } = openPanel()
    expect(await ask('add_consumer', { queue: 'extra', ...given })).toEqual({ error: expect.stringContaining(error) })
    expect(did).toMatchObject({ queues: ['celery'], bound: [] })
  })

  it('refuses a binding if the broker has no exchanges', async () => {
    const { did, panel } = openPanel()
    const answer = await find('add_consumer')!({ ...panel, bindQueue: undefined }, { queue: 'extra', exchange: 'orders' })
    expect(answer).toEqual({ error: expect.stringContaining('no exchanges') })
    expect(did.queues).toEqual(['celery'])
  })
})

describe('a remote control command', () => {
  it.each([
    ['a dict of ids', { x: [1, 'x'], y: [2, 'y'] }, ['x', 'y']],
    ['a list of ids', ['x', 'y'], ['x', 'y']],
    ['an empty answer', null, []],
  ])('`hello` revokes the tasks in %s', async (_name, revoked, ids) => {
    const { did, ask } = openPanel()
    expect(await ask('hello', { from_node: 'celery@theirs', revoked })).toEqual({ revoked: {}, clock: 1 })
    expect(did.revoked).toEqual(ids)
  })

  it.each([
    ['rate_limit', { rate_limit: '10/m' }, '10/m'],
    ['rate_limit', { rate_limit: 5 }, 5],
    ['rate_limit', { rate_limit: 0 }, null],
    ['rate_limit', { rate_limit: false }, null],
    ['time_limit', { soft: 10, hard: 300 }, { soft: 10, hard: 300 }],
    ['time_limit', { soft: 0, hard: null }, { soft: undefined, hard: undefined }],
  ])('`%s` with %j sets the limit %j', async (method, given, limit) => {
    const { did, ask } = openPanel()
    expect(await ask(method, { task_name: 'tasks.wait', ...given })).toEqual({ ok: expect.any(String) })
    expect(did.limits).toEqual([limit])
  })

  it('`rate_limit` refuses a value that is neither a number nor a text', async () => {
    const { did, ask } = openPanel()
    expect(await ask('rate_limit', { task_name: 'tasks.wait', rate_limit: [1] })).toEqual({
      error: 'Invalid rate limit string: [1]',
    })
    expect(did.limits).toEqual([])
  })

  it('`active` shows the arguments as texts if the flag `safe` is 1', async () => {
    const { ask } = openPanel()
    expect(await ask('active', { safe: 1 })).toMatchObject([{ args: '[]' }, { args: '[]' }])
    expect(await ask('active', { safe: 0 })).toMatchObject([{ args: [] }, { args: [] }])
  })
})
