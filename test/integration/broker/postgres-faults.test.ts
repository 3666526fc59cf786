import { Client } from 'pg'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Outcome } from '../../../src/app/outcome.ts'
import type { Broker, Consumer, Delivery } from '../../../src/broker/broker.ts'
import { createPostgresBroker } from '../../../src/broker/postgres/broker.ts'
import { settleParameters } from '../../../src/database/settle-parameters.ts'
import { createQualifier, sql } from '../../../src/database/sql.ts'
import { createLog, silentLog } from '../../../src/log.ts'
import { createMessage } from '../../../src/message/message.ts'
import { createTestSchema, query, type TestSchema } from '../../support/database.ts'
import { startDatabaseProxy } from '../../support/database-proxy.ts'
import type { TcpProxy } from '../../support/tcp-proxy.ts'
import { until } from '../../support/until.ts'

let schema: TestSchema
let broker: Broker
const consumers: Consumer[] = []
const clients: Client[] = []
const proxies: TcpProxy[] = []

beforeEach(async () => {
  schema = await createTestSchema()
  broker = open()
})
afterEach(async () => {
  for (const client of clients.splice(0)) await client.end()
  for (const consumer of consumers.splice(0)) await consumer.close(1000)
  for (const proxy of proxies.splice(0)) await proxy.close()
  await schema.drop()
})

const open = (name?: string) => createPostgresBroker(schema.open(name === undefined ? {} : { name }), schema.config, silentLog())

/** A broker with a proxy before its database. */
async function openFar(): Promise<{ far: Broker; proxy: TcpProxy }> {
  const { proxy, url } = await startDatabaseProxy(schema.url)
  proxies.push(proxy)
  const database = schema.open({ env: { DATABASE_URL: url } })
  return { far: createPostgresBroker(database, schema.config, silentLog()), proxy }
}

const inTable = (columns: string) => query(schema.url, `SELECT ${columns} FROM "${schema.schema}".message ORDER BY id`)

async function client(): Promise<Client> {
  const opened = new Client({ connectionString: schema.url, options: `-c search_path=${schema.schema}` })
  await opened.connect()
  clients.push(opened)
  return opened
}

async function consume(on: Broker, options: { concurrency?: number; queues?: string[] } = {}) {
  const got: Delivery[] = []
  const { concurrency = 10, queues = ['celery'] } = options
  const onDeliveries = (deliveries: readonly Delivery[]) => void got.push(...deliveries)
  const consumer = await on.consume({ queues, concurrency, name: 'celery@test', onDeliveries })
  consumers.push(consumer)
  return { consumer, got, ids: () => got.map(({ message }) => message.headers.id) }
}

const message = (id: string, queue = 'celery') => createMessage({ id, task: 't', args: [], queue })

const succeeded = ({ message }: Delivery, result = 'null'): Outcome => ({
  id: message.headers.id,
  task: 't',
  state: 'SUCCESS',
  result,
  traceback: null,
  queue: message.queue,
  retries: 0,
  startedAt: 1,
  doneAt: 2,
})

/** The claim of a dead worker that the server still executes. */
async function claimSlowly(as: Client, worker: number): Promise<void> {
  await as.query('BEGIN')
  const claim = {
    acknowledged: [],
    worker: { id: worker, name: 'w' },
    outcomes: [],
    resultChannel: 'c',
    queues: ['celery'],
    limit: 10,
  }
  const { rows } = await as.query(createQualifier(schema.schema)(sql('message-settle')).text, settleParameters(claim))
  expect(rows.length).toBe(1)
}

const blocked = async () =>
  (
    await query(
      schema.url,
      `SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name LIKE 'onedyno test%'`,
    )
  ).length > 0

describe('a worker with PostgreSQL as its broker', () => {
  it('receives the messages of a dead worker even if the last claim of the dead worker commits during the reaping', async () => {
    const dying = await client()
    await query(schema.url, `INSERT INTO "${schema.schema}".worker (name, queues, concurrency) VALUES ('dead', '{celery}', 1)`)
    await broker.publish([message('a')])
    await claimSlowly(dying, 1)
    const consuming = consume(broker)
    await until('the reaper waits', blocked)
    await dying.query('COMMIT')
    const { got } = await consuming
    await until('redelivered', () => got.length === 1, 3000)
    expect(got[0]?.deliveries).toBe(2)
  })

  it('claims nothing before it is registered, even if a message wakes it', async () => {
    const lines: string[] = []
    const log = createLog({ level: 'info', format: 'json' }, { write: (line) => void lines.push(line) })
    const slow = await client()
    await query(schema.url, `INSERT INTO "${schema.schema}".worker (name, queues, concurrency) VALUES ('dead', '{celery}', 1)`)
    await slow.query('BEGIN')
    await slow.query('SELECT FROM worker FOR UPDATE')
    const consuming = consume(createPostgresBroker(schema.open(), schema.config, log))
    await until('the registration waits', blocked)
    await broker.publish([message('a')])
    // The worker has time to receive the notification.
    await query(schema.url, 'SELECT pg_sleep(0.1)')
    await slow.query('COMMIT')
    const { ids } = await consuming
    await until('delivered', () => ids().length === 1)
    expect(lines.filter((line) => !line.includes('worker is dead'))).toEqual([])
  })

  it('serves every queue, even while its first queue is full', async () => {
    await broker.publish(Array.from({ length: 50 }, (_, index) => message(`a${index}`, 'a')))
    await broker.publish([message('b', 'b')])
    const { consumer, got, ids } = await consume(broker, { concurrency: 1, queues: ['a', 'b'] })
    for (let done = 0; done < 4; done++) {
      await until('one more', () => got.length > done)
      consumer.finish(got[done]!, null)
    }
    expect(ids()).toContain('b')
  })

  it('keeps a result and stores it when a transient refusal of the database has passed', async () => {
    const lines: string[] = []
    const log = createLog({ level: 'info', format: 'json' }, { write: (line) => void lines.push(line) })
    await broker.publish([message('a')])
    const { consumer, got } = await consume(createPostgresBroker(schema.open(), schema.config, log))
    await until('delivered', () => got.length === 1)
    await query(
      schema.url,
      `CREATE FUNCTION "${schema.schema}".no_room() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      IF NEW.state = 'SUCCESS' THEN RAISE EXCEPTION 'disk full' USING ERRCODE = '53100'; END IF; RETURN NEW; END $$`,
    )
    await query(
      schema.url,
      `CREATE TRIGGER no_room BEFORE INSERT ON "${schema.schema}".task_result FOR EACH ROW EXECUTE FUNCTION "${schema.schema}".no_room()`,
    )
    consumer.finish(got[0]!, succeeded(got[0]!, '"precious"'))
    await until('refused', () => lines.some((line) => line.includes('database refuses')))
    await query(schema.url, `DROP TRIGGER no_room ON "${schema.schema}".task_result`)
    await consumer.flush()
    expect(await query(schema.url, `SELECT state, result FROM "${schema.schema}".task_result`)).toEqual([
      { state: 'SUCCESS', result: '"precious"' },
    ])
  })

  it('stores large results in several statements', async () => {
    const large = JSON.stringify('x'.repeat(5_000_000))
    await broker.publish(['a', 'b', 'c'].map((id) => message(id)))
    const { consumer, got } = await consume(broker)
    await until('delivered', () => got.length === 3)
    for (const delivery of got) consumer.finish(delivery, succeeded(delivery, large))
    await consumer.flush()
    const [row] = await query(
      schema.url,
      `SELECT count(DISTINCT xmin)::int AS statements, sum(length(result))::int AS length FROM (SELECT xmin::text, result FROM "${schema.schema}".task_result) r`,
    )
    expect(row).toEqual({ statements: 3, length: 3 * large.length })
  })
})

describe('a worker with PostgreSQL as its broker, after its connection broke,', () => {
  it('acknowledges messages whose tasks ended meanwhile, and runs none of these tasks again', async () => {
    const { far, proxy } = await openFar()
    await broker.publish(['a', 'b'].map((id) => message(id)))
    const { consumer, got, ids } = await consume(far)
    await until('delivered', () => got.length === 2)
    proxy.shut()
    consumer.finish(got[0]!, succeeded(got[0]!))
    consumer.finish(got[1]!, null)
    proxy.open()
    await consumer.flush()
    expect(ids()).toEqual(['a', 'b'])
    expect(await inTable('id')).toEqual([])
  })

  it('counts a death for a requeued message although the connection broke before the requeue was written', async () => {
    const { far, proxy } = await openFar()
    await broker.publish([message('a')])
    const { consumer, got } = await consume(far)
    await until('delivered', () => got.length === 1)
    proxy.shut()
    consumer.requeue(got[0]!, { counted: true })
    proxy.open()
    await until('delivered again', () => got.length === 2)
    expect(got[1]?.deliveries).toBe(2)
  })

  it('keeps its messages after it was declared dead, counts no death for them and loses no slot', async () => {
    const { far, proxy } = await openFar()
    await broker.publish(['a', 'b', 'c'].map((id) => message(id)))
    const { consumer, got, ids } = await consume(far, { concurrency: 3 })
    await until('delivered', () => got.length === 3)
    // It has no slot for the requeued messages.
    const other = await consume(broker, { concurrency: 1 })
    await broker.publish([message('x')])
    await until('the other one is full', () => other.got.length === 1)
    proxy.shut()
    await until('declared dead', async () => (await inTable('id')).length === 4 && (await inTable('deaths'))[0]?.deaths === 1)
    proxy.open()
    await until('its own again', async () => (await inTable('worker')).every(({ worker }) => worker !== null))
    expect(await inTable('task_id, deaths')).toEqual(['a', 'b', 'c', 'x'].map((task_id) => ({ task_id, deaths: 0 })))
    expect(ids()).toEqual(['a', 'b', 'c'])
    for (const delivery of got) consumer.finish(delivery, succeeded(delivery))
    await broker.publish(['d', 'e', 'f'].map((id) => message(id)))
    await until('all slots are used', () => got.length === 6)
    expect(ids()).toEqual(['a', 'b', 'c', 'd', 'e', 'f'])
  })

  it('does not run a message again when the server lost the claim of the message', async () => {
    const { consumer, got, ids } = await consume(broker, { concurrency: 3 })
    await broker.publish(['a', 'b'].map((id) => message(id)))
    await until('delivered', () => got.length === 2)
    // As after a crash of the server: claims are committed asynchronously.
    await query(schema.url, `UPDATE "${schema.schema}".message SET worker = NULL`)
    await broker.publish([message('c')])
    await until('claimed again', async () => (await inTable('worker')).filter(({ worker }) => worker !== null).length > 0)
    for (const id of ['a', 'b']) consumer.finish(got.find(({ message }) => message.headers.id === id)!, null)
    await until('the third', () => ids().includes('c'))
    await consumer.flush()
    expect(ids()).toEqual(['a', 'b', 'c'])
    expect(await inTable('task_id')).toEqual([{ task_id: 'c' }])
  })
})

describe('publishing to PostgreSQL', () => {
  it('refuses an invalid message and accepts the other messages of its batch', async () => {
    const first = broker.publish([message('first')])
    const sent = await Promise.allSettled([first, broker.publish([message('bad\0id')]), broker.publish([message('good')])])
    expect(sent.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
  })
})
