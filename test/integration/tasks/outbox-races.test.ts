import { Client } from 'pg'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { publishDue } from '../../../src/broker/outbox/publish.ts'
import type { Database } from '../../../src/database/database.ts'
import { createDeadLetters } from '../../../src/database/dead-letters.ts'
import { keepInOutbox, parkInOutbox } from '../../../src/database/outbox.ts'
import { writeMessages } from '../../../src/database/plans.ts'
import { sql } from '../../../src/database/sql.ts'
import { createMessage } from '../../../src/message/message.ts'
import { createTestSchema, query, type TestSchema } from '../../support/database.ts'
import { until } from '../../support/until.ts'

let schema: TestSchema
let database: Database
beforeEach(async () => {
  schema = await createTestSchema()
  database = schema.open()
})
afterEach(() => schema.drop())

const first = createMessage({ id: 'same', task: 't', args: [1] })
const second = createMessage({ id: 'same', task: 't', args: [2], headers: { mine: true } })
const rows = (table: string) => query(schema.url, `SELECT body FROM "${schema.schema}".${table}`)

/** Both publish due messages, and delete them only after another process may have received them. */
const RELAYS: Record<string, () => Promise<() => Promise<void>>> = {
  async 'published to RabbitMQ or Redis, but not yet deleted from the outbox,'() {
    const [published, confirmed] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    const pass = publishDue(database, 10, () => {
      published.resolve()
      return confirmed.promise
    })
    await published.promise
    return async () => {
      confirmed.resolve()
      await pass
    }
  },
  async 'moved into the queue of PostgreSQL, but not yet committed,'() {
    const relay = new Client({ connectionString: schema.url, options: `-c search_path=${schema.schema}` })
    await relay.connect()
    await relay.query('BEGIN')
    await relay.query(database.qualify(sql('outbox-to-message')).text, [10, database.channel('message')])
    return async () => {
      await relay.query('COMMIT')
      await relay.end()
    }
  },
}

const WRITERS: Record<string, () => Promise<unknown>> = {
  'the next attempt': () =>
    database.transaction((client) =>
      writeMessages(client, { channel: database.channel, direct: false }, [{ message: second, dueAt: new Date() }]),
    ),
  'a message that a worker keeps for later': () => parkInOutbox(database, second, new Date()),
  async 'a dead letter that is to run again'() {
    const { headers, queue, body } = second
    const row = [queue, 'reason', headers.id, headers.task, 0, null, null, body]
    await database.query(
      sql('dead-letter'),
      row.map((value) => [value]),
    )
    expect(await createDeadLetters(database).requeue('all')).toEqual(['same'])
  },
}

const CASES = Object.entries(RELAYS).flatMap(([held, relay]) =>
  Object.entries(WRITERS).map(([what, write]) => ({ held, relay, what, write })),
)

describe('the deletion of an older message in the outbox with the same id', () => {
  it.each(CASES)('that is $held does not delete $what', async ({ relay, write }) => {
    await keepInOutbox(database, first, new Date(0))
    const goOn = await relay()
    let written = false
    const writing = write().then(() => {
      written = true
    })
    const waits = `SELECT FROM pg_locks AS l JOIN pg_class AS c ON c.oid = l.relation WHERE c.relnamespace = $1::regnamespace
      AND l.pid IN (SELECT pid FROM pg_locks WHERE NOT granted)`
    await until(
      'the writer waits, or is done',
      async () => written || (await query(schema.url, waits, [schema.schema])).length > 0,
    )
    await goOn()
    await writing
    expect(await rows('outbox')).toEqual([{ body: second.body }])
  })
})
