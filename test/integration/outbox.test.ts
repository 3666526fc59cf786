import { Client } from 'pg'
import { describe, expect } from 'vitest'
import type { Database } from '../../src/database/database.ts'
import { keepInOutbox } from '../../src/database/outbox.ts'
import { createMessage } from '../../src/message/message.ts'
import { type BeatBench, benchTest, terminateBackends } from '../support/beats.ts'
import { until } from '../support/until.ts'

const messageOf = (id: string) =>
  createMessage({ id, task: 'tasks.echo', args: ['hé"\\'], kwargs: { k: 1 }, queue: 'q', priority: 3, headers: { mine: true } })

const keep = (database: Database, id: string, inMs: number) => keepInOutbox(database, messageOf(id), new Date(Date.now() + inMs))

/** Ids in the queue, in the order of their arrival. */
const published = async ({ sql }: BeatBench) =>
  (await sql<{ task_id: string }>('SELECT task_id FROM message ORDER BY id')).map(({ task_id }) => task_id)

const waiting = async ({ sql }: BeatBench) => (await sql('SELECT FROM outbox')).length

const arrived = (bench: BeatBench, count: number, timeoutMs = 15_000) =>
  until(`${count} messages`, async () => (await published(bench)).length >= count, timeoutMs)

/** A connection of an application with its own search_path, in which another table is called outbox. */
async function applicationClient({ schema }: BeatBench): Promise<Client> {
  const client = new Client({ connectionString: schema.url, options: '-c search_path=pg_temp' })
  await client.connect()
  await client.query('CREATE TEMP TABLE outbox (mine int)')
  return client
}

describe('a message that is due later', () => {
  benchTest('is published when it is due and not before, with all its fields', async (bench) => {
    const { database } = await bench.relay()
    await keep(database, 'a', 700)
    const [kept] = await bench.sql<{ due_at: Date }>('SELECT due_at FROM outbox')
    await arrived(bench, 1)
    const [{ late = Number.NaN } = {}] = await bench.sql<{ late: number }>(
      'SELECT extract(epoch FROM clock_timestamp() - $1::timestamptz)::float8 AS late',
      [kept?.due_at],
    )
    expect(late).toBeGreaterThanOrEqual(0)
    expect(late).toBeLessThan(0.5)
    expect(await bench.sql('SELECT queue, priority, task_id, task, headers::jsonb, body FROM message')).toEqual([
      {
        queue: 'q',
        priority: 3,
        task_id: 'a',
        task: 'tasks.echo',
        headers: { mine: true },
        body: messageOf('a').body,
      },
    ])
    expect(await waiting(bench)).toBe(0)
  })

  benchTest('is published after a message that is added later and due earlier', async (bench) => {
    const { database } = await bench.relay()
    await keep(database, 'late', 3_600_000)
    const since = performance.now()
    await keep(database, 'early', 300)
    await arrived(bench, 1)
    expect(performance.now() - since).toBeLessThan(1300)
    expect(await published(bench)).toEqual(['early'])
  })

  benchTest('can be due at the largest Date of JavaScript', async (bench) => {
    const { database } = await bench.relay()
    await keepInOutbox(database, messageOf('never'), new Date(8.64e15))
    await bench.sql(
      `INSERT INTO outbox (task_id, queue, task, body, due_at) VALUES ('infinite', 'q', 't', '[[],{},{}]', 'infinity')`,
    )
    await keep(database, 'now', 0)
    await arrived(bench, 1)
    expect(await waiting(bench)).toBe(2)
  })

  benchTest('is stored once if the same id is written several times', async (bench) => {
    const database = bench.schema.open()
    await keep(database, 'a', 60_000)
    await keep(database, 'a', 1000)
    expect(
      (await bench.sql<{ due_at: Date }>('SELECT due_at FROM outbox')).map(
        ({ due_at }) => due_at.getTime() > Date.now() + 30_000,
      ),
    ).toEqual([true])
  })

  benchTest('is stored although the first attempt uses connections that the server has closed', async (bench) => {
    const database = bench.schema.open({ name: bench.schema.schema })
    await database.ping()
    await terminateBackends(bench)
    await keep(database, 'a', 60_000)
    expect(await waiting(bench)).toBe(1)
  })
})

describe('a message in a transaction of the application', () => {
  benchTest('exists as soon as the transaction commits and not before', async (bench) => {
    const { database } = await bench.relay()
    const client = await applicationClient(bench)
    await client.query('BEGIN')
    await keepInOutbox(database, messageOf('a'), new Date(), client)
    await keep(database, 'other', 0)
    await arrived(bench, 1)
    expect(await published(bench)).toEqual(['other'])
    await client.query('COMMIT')
    await arrived(bench, 2, 1000)
    await client.end()
  })

  benchTest('never exists if the transaction rolls back', async (bench) => {
    const { database } = await bench.relay()
    const client = await applicationClient(bench)
    await client.query('BEGIN')
    await keepInOutbox(database, messageOf('a'), new Date(), client)
    await client.query('ROLLBACK')
    await keep(database, 'after', 0)
    await arrived(bench, 1)
    expect([await published(bench), await waiting(bench)]).toEqual([['after'], 0])
    await client.end()
  })

  benchTest('is refused with the unchanged error of the caller’s connection if the transaction has failed', async (bench) => {
    const database = bench.schema.open()
    const client = await applicationClient(bench)
    await client.query('BEGIN')
    await expect(client.query('SELECT nothing')).rejects.toThrow()
    await expect(keepInOutbox(database, messageOf('a'), new Date(), client)).rejects.toMatchObject({ code: '25P02' })
    await client.end()
  })
})

describe('relays', () => {
  const addDue = ({ sql }: BeatBench, from: number, to: number) =>
    sql(
      `INSERT INTO outbox (task_id, queue, task, body, due_at)
       SELECT n::text, 'q', 't', '[[],{},{}]', now() - interval '1 s' + n * interval '1 microsecond' FROM generate_series($1::int, $2::int) AS n`,
      [from, to],
    )

  benchTest('publish a thousand due messages in the order of their times', async (bench) => {
    await addDue(bench, 1, 1000)
    await bench.relay()
    await arrived(bench, 1000)
    expect(await published(bench)).toEqual(Array.from({ length: 1000 }, (_, index) => String(index + 1)))
    expect(await waiting(bench)).toBe(0)
  })

  benchTest('publish each message once when three relays run', async (bench) => {
    await addDue(bench, 1, 5000)
    await Promise.all([bench.relay(), bench.relay(), bench.relay()])
    await until('an empty outbox', async () => (await waiting(bench)) === 0)
    const ids = await published(bench)
    expect([ids.length, new Set(ids).size]).toEqual([5000, 5000])
  })

  benchTest('lose and duplicate no message while the server closes their connections', async (bench) => {
    const { database } = await bench.relay()
    await bench.relay()
    for (let round = 0; round < 8; round++) {
      await addDue(bench, round * 500 + 1, round * 500 + 500)
      await bench.sql('SELECT pg_notify($1, $2)', [database.channel('outbox'), ''])
      await terminateBackends(bench)
    }
    await until('an empty outbox', async () => (await waiting(bench)) === 0)
    const ids = await published(bench)
    expect([ids.length, new Set(ids).size]).toEqual([4000, 4000])
  })

  benchTest('publish the messages of a failed relay without any notification', async (bench) => {
    await addDue(bench, 1, 10)
    const failing = await bench.begin()
    await failing.sql('DELETE FROM outbox')
    const { database } = await bench.relay()
    await keep(database, 'other', 0)
    await arrived(bench, 1)
    await failing.end('ROLLBACK')
    await arrived(bench, 11, 2500)
  })

  benchTest('receive notifications again after their listening connection was lost', async (bench) => {
    const { database } = await bench.relay()
    await keep(database, 'first', 0)
    await arrived(bench, 1)
    await terminateBackends(bench)
    await until('a new listener', async () => {
      const listeners = await bench.sql(`SELECT FROM pg_stat_activity WHERE application_name = $1`, [
        `onedyno ${bench.schema.schema} listen`,
      ])
      return listeners.length > 0
    })
    await keep(database, 'second', 0)
    await arrived(bench, 2, 1500)
  })
})
