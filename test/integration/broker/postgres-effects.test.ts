import { createHash } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createPlanner } from '../../../src/app/canvas/plan.ts'
import type { Plan } from '../../../src/app/effects.ts'
import type { Outcome, State } from '../../../src/app/outcome.ts'
import type { Consumer, Delivery } from '../../../src/broker/broker.ts'
import { sendPlan } from '../../../src/broker/outbox/send-plan.ts'
import { createPostgresBroker } from '../../../src/broker/postgres/broker.ts'
import { countCollectedMembers, type EffectsTarget } from '../../../src/database/chords.ts'
import type { Database } from '../../../src/database/database.ts'
import { storeOutcomes } from '../../../src/database/store-outcomes.ts'
import { silentLog } from '../../../src/log.ts'
import { createMessage, decodeBody } from '../../../src/message/message.ts'
import { createTestSchema, type TestSchema } from '../../support/database.ts'
import { until } from '../../support/until.ts'

let schema: TestSchema
let database: Database
const consumers: Consumer[] = []

beforeEach(async () => {
  schema = await createTestSchema()
  database = schema.open()
})
afterEach(async () => {
  for (const consumer of consumers.splice(0)) await consumer.close(1000)
  await schema.drop()
})

const message = (id: string, headers = {}) => createMessage({ id, task: 't', args: [], headers })
const planOf = (...ids: string[]): Plan => ({ messages: ids.map((id) => message(id)), chords: [], groups: [] })
const rows = (text: string) => database.query({ name: '', text })

const outcome = (id: string, state: State = 'SUCCESS'): Outcome => ({
  id,
  task: 't',
  state,
  result: state === 'SUCCESS' ? '1' : '{"exc_type":"Error","exc_message":["no"]}',
  traceback: null,
  queue: 'celery',
  retries: 0,
  startedAt: 1,
  doneAt: 2,
})

async function consume(on: Database = database) {
  const got: Delivery[] = []
  const broker = createPostgresBroker(on, schema.config, silentLog())
  const onDeliveries = (deliveries: readonly Delivery[]) => void got.push(...deliveries)
  const consumer = await broker.consume({ queues: ['celery'], concurrency: 10, name: 'celery@test', onDeliveries })
  consumers.push(consumer)
  return { broker, consumer, got }
}

/** Records the statements of a database in their order. */
function listened(): { database: Database; asked: string[] } {
  const asked: string[] = []
  const query: Database['query'] = (statement, values) => {
    asked.push(statement.name)
    return database.query(statement, values)
  }
  const transaction: Database['transaction'] = (work) => {
    asked.push('BEGIN')
    return database.transaction(work)
  }
  return { database: { ...database, query, transaction }, asked }
}

describe('a consumer of PostgreSQL', () => {
  it('stores several outcomes without effects in one statement', async () => {
    const { database: listening, asked } = listened()
    const { broker, consumer, got } = await consume(listening)
    await broker.publish([message('a'), message('b')])
    await until('delivered', () => got.length === 2)
    await consumer.flush()
    asked.splice(0)
    for (const delivery of got) consumer.finish(delivery, outcome(delivery.message.headers.id))
    await consumer.flush()
    expect(asked.filter((name) => name !== 'message-settle')).toEqual([])
    asked.splice(0)
    await broker.publish([message('c')])
    await until('delivered', () => got.length === 3)
    consumer.finish(got[2]!, outcome('c'), { effects: { plan: planOf('d') } })
    await until('the next step', () => got.length === 4)
    expect(asked).toContain('BEGIN')
  })

  it('writes no effects of an ignored outcome if another worker has already ended the message', async () => {
    const { broker, consumer, got } = await consume()
    await broker.publish([message('a'), message('b')])
    await until('delivered', () => got.length === 2)
    // Another worker received the message because this one was declared dead, and acknowledged it.
    await rows(`DELETE FROM {schema}.message WHERE task_id = 'a'`)
    for (const delivery of got)
      consumer.finish(delivery, null, { effects: { plan: planOf(`after ${delivery.message.headers.id}`) } })
    await until('the next step', () => got.length === 3)
    await consumer.flush()
    expect(got.map(({ message }) => message.headers.id)).toEqual(['a', 'b', 'after b'])
    expect(await rows('SELECT task_id FROM {schema}.message')).toEqual([{ task_id: 'after b' }])
  })

  it('acknowledges a redelivered attempt without running it if its outcome is already stored', async () => {
    const broker = createPostgresBroker(database, schema.config, silentLog())
    await rows(`INSERT INTO {schema}.task_result (id, task, state, retries) VALUES
      ('retried', 't', 'RETRY', 1), ('next', 't', 'RETRY', 0), ('started', 't', 'STARTED', 1), ('later', 't', 'STARTED', 2), ('requeued', 't', 'PENDING', 3)`)
    await broker.publish([
      message('retried', { retries: 1 }),
      message('next', { retries: 1 }),
      message('started', { retries: 1 }),
      message('later', { retries: 1 }),
      message('requeued'),
    ])
    await rows('UPDATE {schema}.message SET deaths = 1')
    const { consumer, got } = await consume()
    await until('delivered', () => got.length === 3)
    await consumer.flush()
    expect(got.map(({ message }) => message.headers.id).toSorted()).toEqual(['next', 'requeued', 'started'])
    expect(await rows('SELECT task_id FROM {schema}.message ORDER BY 1')).toEqual([
      { task_id: 'next' },
      { task_id: 'requeued' },
      { task_id: 'started' },
    ])
  })

  it.each([
    ['was done', true],
    ['was not done', false],
  ])('repeats an early acknowledgement whose answer was lost, if the acknowledgement %s', async (_what, done) => {
    let asked = 0
    const query: Database['query'] = async (statement, values) => {
      if (statement.name !== 'message-acknowledge' || asked++ > 0) return database.query(statement, values)
      if (done) await database.query(statement, values)
      throw Object.assign(new Error('Connection terminated unexpectedly'))
    }
    const { broker, consumer, got } = await consume({ ...database, query })
    await broker.publish([message('a')])
    await until('delivered', () => got.length === 1)
    expect(await consumer.acknowledge(got[0]!)).toBe(true)
    expect(asked).toBe(2)
    expect(await rows('SELECT FROM {schema}.message')).toEqual([])
    consumer.finish(got[0]!, outcome('a'))
    await consumer.flush()
    expect(await rows('SELECT state FROM {schema}.task_result')).toEqual([{ state: 'SUCCESS' }])
  })

  it('refuses the early acknowledgement of a message that another worker holds', async () => {
    const { broker, consumer, got } = await consume()
    await broker.publish([message('a')])
    await until('delivered', () => got.length === 1)
    await rows('UPDATE {schema}.message SET worker = 4711')
    expect(await consumer.acknowledge(got[0]!)).toBe(false)
    expect(await rows('SELECT FROM {schema}.message')).toHaveLength(1)
    consumer.finish(got[0]!, outcome('a'))
    await consumer.flush()
    expect(await rows('SELECT FROM {schema}.task_result')).toEqual([])
  })
})

describe('chords', () => {
  const chords = Array.from({ length: 30 }, (_, index) => index)
  const members = Array.from({ length: 20 }, (_, index) => index)
  const body = (chord: number) => ({
    task: 'tasks.sum',
    args: [],
    kwargs: {},
    options: { task_id: `body${chord}` },
    subtask_type: null,
    immutable: false,
  })

  /** Members of many chords end in the transactions of many workers, in any order, some twice, some as failures. */
  it('end once, in the transaction that counts their last member, without a deadlock', async () => {
    const broker = createPostgresBroker(database, schema.config, silentLog())
    const idsOf = (chord: number) => members.map((member) => `c${chord}m${member}`)
    const plans = chords.map((chord) => ({ id: `c${chord}`, members: idsOf(chord), body: body(chord), rootId: null }))
    await sendPlan({ database, broker }, { messages: [], chords: plans, groups: [] })
    const failing = new Set(['c3m7', 'c3m8', 'c9m0'])
    const target: EffectsTarget = { channel: database.channel, worker: 'w', direct: true, planner: createPlanner() }
    const all = members.flatMap((member) => chords.map((chord) => `c${chord}m${member}`))
    // A constant order without a pattern.
    const shuffled = all
      .map((id) => ({ id, at: createHash('md5').update(id).digest('hex') }))
      .toSorted((a, b) => (a.at < b.at ? -1 : 1))
    const batches = Array.from({ length: 40 }, (_, batch) =>
      shuffled.filter((_each, index) => index % 40 === batch).map(({ id }) => id),
    )
    const workers = [schema.open(), schema.open(), schema.open(), schema.open()]
    const work = async (worker: Database, mine: readonly string[][]) => {
      let before: readonly string[] = []
      for (const ids of mine) {
        await worker.transaction(async (client) => {
          const outcomes = ids.toSorted().map((id) => outcome(id, failing.has(id) ? 'FAILURE' : 'SUCCESS'))
          await storeOutcomes(client, target, outcomes)
          await countCollectedMembers(client, target, [...before, ...ids])
        })
        before = ids
      }
    }
    await Promise.all(
      workers.map((worker, index) =>
        work(
          worker,
          batches.filter((_batch, at) => at % 4 === index),
        ),
      ),
    )
    const sent = await rows('SELECT task_id, body FROM {schema}.message ORDER BY task_id')
    const results = members.map(() => 1)
    for (const { body } of sent) expect(decodeBody(String(body)).args).toEqual([results])
    const failed = await rows(`SELECT id, state FROM {schema}.task_result WHERE id LIKE 'body%' ORDER BY id`)
    expect(failed).toEqual([
      { id: 'body3', state: 'FAILURE' },
      { id: 'body9', state: 'FAILURE' },
    ])
    expect(sent.map(({ task_id }) => task_id)).toEqual(
      chords
        .filter((chord) => chord !== 3 && chord !== 9)
        .map((chord) => `body${chord}`)
        .toSorted(),
    )
    expect(await rows('SELECT FROM {schema}.chord')).toEqual([])
    expect(await rows('SELECT FROM {schema}.chord_member')).toEqual([])
  })

  it('are counted by one transaction at a time, in the order of their ids', async () => {
    const broker = createPostgresBroker(database, schema.config, silentLog())
    const plans = [0, 1].map((chord) => {
      return { id: `c${chord}`, members: [`c${chord}m0`, `c${chord}m1`, 'x'], body: body(chord), rootId: null }
    })
    await sendPlan({ database, broker }, { messages: [], chords: plans, groups: [] })
    const target: EffectsTarget = { channel: database.channel, worker: 'w', direct: true, planner: createPlanner() }
    const order: string[] = []
    const second = schema.open({ name: schema.schema })
    const blocked = `SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = 'onedyno ${schema.schema}'`
    let waiting: Promise<unknown> = Promise.resolve()
    await database.transaction(async (client) => {
      await countCollectedMembers(client, target, ['c0m0'])
      waiting = second.transaction(async (other) => {
        await countCollectedMembers(other, target, ['c1m1', 'c0m1'])
        order.push('second')
      })
      await until('the second waits', async () => (await rows(blocked)).length > 0)
      // It waits for its first chord and has not locked the other one, which may have the first chord's body as a member.
      await countCollectedMembers(client, target, ['c1m0'])
      order.push('first')
    })
    await waiting
    expect(order).toEqual(['first', 'second'])
    expect(await rows('SELECT id, remaining FROM {schema}.chord ORDER BY id')).toEqual([
      { id: 'c0', remaining: 1 },
      { id: 'c1', remaining: 1 },
    ])
    await database.transaction((client) => countCollectedMembers(client, target, ['x']))
    expect(await rows('SELECT task_id FROM {schema}.message ORDER BY 1')).toEqual([{ task_id: 'body0' }, { task_id: 'body1' }])
  })
})
