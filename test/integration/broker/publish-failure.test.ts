import { afterEach, beforeEach, describe, expect, inject, it, onTestFinished } from 'vitest'
import { createRegistry } from '../../../src/app/app.ts'
import { createAmqpBroker } from '../../../src/broker/amqp/broker.ts'
import type { Broker } from '../../../src/broker/broker.ts'
import { createPostgresBroker } from '../../../src/broker/postgres/broker.ts'
import { createRedisBroker } from '../../../src/broker/redis/broker.ts'
import { createBackend } from '../../../src/commands/backend.ts'
import { createDatabase } from '../../../src/database/database.ts'
import { keepInOutbox } from '../../../src/database/outbox.ts'
import { createResults } from '../../../src/database/results.ts'
import { silentLog } from '../../../src/log.ts'
import { createMessage } from '../../../src/message/message.ts'
import { createTestSchema, query, type TestSchema } from '../../support/database.ts'
import { createTestVhost } from '../../support/rabbit.ts'
import { startTcpProxy } from '../../support/tcp-proxy.ts'

const amqpUrl = inject('amqpUrl')
const redisUrl = inject('redisUrl')
const message = (id: string) => createMessage({ id, task: 'tasks.echo', args: [] })
const code = (promise: Promise<unknown>) =>
  promise.then(
    () => 'taken',
    (error: { code?: string }) => error.code,
  )

let schema: TestSchema
beforeEach(async () => {
  schema = await createTestSchema()
})
afterEach(() => schema.drop())

/** No server listens on port 1. */
const noDatabase = () => {
  const database = createDatabase(
    { ...schema.config, databaseUrl: 'postgresql://nobody@127.0.0.1:1/none' },
    { name: 'none', log: silentLog() },
  )
  onTestFinished(() => database.close())
  return database
}

/** The server ends the connection during the write, so the client does not know whether the row was stored. */
const breakOnInsert = async (table: string) => {
  await query(
    schema.url,
    `CREATE FUNCTION "${schema.schema}".die() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END $$`,
  )
  await query(
    schema.url,
    `CREATE TRIGGER die BEFORE INSERT ON "${schema.schema}".${table} FOR EACH ROW EXECUTE FUNCTION "${schema.schema}".die()`,
  )
}

describe('publishing to a PostgreSQL that does not accept a message', () => {
  const broker = (database = schema.open()) => createPostgresBroker(database, { publishTimeoutMs: 200 }, silentLog())

  it.each<[what: string, expected: string, publish: () => Promise<unknown>]>([
    ['no server', 'BROKER_UNREACHABLE', () => broker(noDatabase()).publish([message('a')])],
    ['no server for the outbox', 'BROKER_UNREACHABLE', () => keepInOutbox(noDatabase(), message('a'), new Date())],
    ['an id with NUL', 'MESSAGE_REFUSED', () => broker().publish([message('bad\0id')])],
    ['an id with NUL in the outbox', 'MESSAGE_REFUSED', () => keepInOutbox(schema.open(), message('bad\0id'), new Date())],
    ['an invalid time', 'TASK_OPTION_INVALID', () => keepInOutbox(schema.open(), message('a'), new Date('garbage'))],
  ])('reports %s as %s', async (_what, expected, publish) => {
    expect(await code(publish())).toBe(expected)
  })

  it.each<[table: string, publish: () => Promise<unknown>]>([
    ['message', () => broker().publish([message('a')])],
    ['outbox', () => keepInOutbox(schema.open(), message('a'), new Date())],
  ])('reports a connection that breaks during the write to the table %s as MESSAGE_UNCONFIRMED', async (table, publish) => {
    await breakOnInsert(table)
    expect(await code(publish())).toBe('MESSAGE_UNCONFIRMED')
  })

  it('reports missing tables as SCHEMA_OUTDATED', async () => {
    await query(schema.url, `DROP TABLE "${schema.schema}".message`)
    expect(await code(broker().publish([message('a')]))).toBe('SCHEMA_OUTDATED')
  })

  it('reports a partial failure as MESSAGE_UNCONFIRMED, because some messages were queued', async () => {
    await query(
      schema.url,
      `CREATE FUNCTION "${schema.schema}".full() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      IF NEW.task_id = 'b' THEN RAISE EXCEPTION 'disk full' USING ERRCODE = '53100'; END IF; RETURN NEW; END $$`,
    )
    await query(
      schema.url,
      `CREATE TRIGGER full_disk BEFORE INSERT ON "${schema.schema}".message FOR EACH ROW EXECUTE FUNCTION "${schema.schema}".full()`,
    )
    const opened = broker()
    const first = opened.publish([message('a0')])
    expect(await code(opened.publish([message('b')]))).toBe('BROKER_UNREACHABLE')
    await first
    // The first message of a call is written at once, the others together by the next statement.
    expect(await code(opened.publish([message('a'), message('b')]))).toBe('MESSAGE_UNCONFIRMED')
  })

  it('reports an invalid eta in the headers as TASK_OPTION_INVALID with the name of the option, and stores nothing', async () => {
    const database = schema.open()
    const app = createRegistry(async () => createBackend(database, broker(), createResults(database)))
    const sent = app.sendTask('tasks.echo', [1], { headers: { eta: 'garbage' } })
    await expect(sent).rejects.toMatchObject({ code: 'TASK_OPTION_INVALID', message: expect.stringContaining('eta') })
    expect(await query(schema.url, `SELECT FROM "${schema.schema}".outbox`)).toEqual([])
  })
})

describe.each<[name: string, url: string | undefined, open: (port: number) => Promise<Broker>]>([
  [
    'RabbitMQ',
    amqpUrl,
    async (port) => {
      const vhost = await createTestVhost(amqpUrl ?? '')
      onTestFinished(() => vhost.drop())
      const url = vhost.urlAt(port)
      const choice = { kind: 'amqp', why: 'test', publishUrl: url, consumeUrl: url } as const
      const config = { publishTimeoutMs: 500, queueType: 'classic', queueMaxPriority: 0, broker: choice } as const
      return createAmqpBroker(noDatabase(), config, { name: 'test', log: silentLog() })
    },
  ],
  [
    'Redis',
    redisUrl,
    async (port) => {
      const url = new URL(redisUrl ?? '')
      url.port = String(port)
      return createRedisBroker(noDatabase(), { ...schema.config, publishTimeoutMs: 500 }, silentLog(), {
        url: url.href,
        prefix: `${schema.schema}:`,
      })
    },
  ],
])('publishing when neither %s nor the outbox accepts a message', (_name, url, open) => {
  const opened = async () => {
    const { hostname, port } = new URL(url ?? '')
    const proxy = await startTcpProxy({ host: hostname, port: Number(port) })
    const broker = await open(proxy.port)
    onTestFinished(async () => {
      proxy.cut()
      await broker.close()
      await proxy.close()
    })
    return { broker, proxy }
  }

  it.skipIf(url === undefined)('reports a message that was never sent as BROKER_UNREACHABLE', async () => {
    const { broker, proxy } = await opened()
    proxy.shut()
    expect(await code(broker.publish([message('a')]))).toBe('BROKER_UNREACHABLE')
  })

  it.skipIf(url === undefined)('reports a message that was sent but not answered as MESSAGE_UNCONFIRMED', async () => {
    const { broker, proxy } = await opened()
    await broker.publish([message('before')])
    proxy.freeze()
    expect(await code(broker.publish([message('a')]))).toBe('MESSAGE_UNCONFIRMED')
  })
})
