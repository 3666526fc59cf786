import { afterEach, beforeEach, expect, it } from 'vitest'
import { createPostgresControl } from '../../src/broker/postgres/control.ts'
import type { Database } from '../../src/database/database.ts'
import { silentLog } from '../../src/log.ts'
import { createTestSchema, query, type TestSchema } from '../support/database.ts'
import { until } from '../support/until.ts'

let schema: TestSchema
let database: Database
beforeEach(async () => {
  schema = await createTestSchema()
  database = schema.open()
})
afterEach(() => schema.drop())

it('a listening session that has ended does not run again when the connection comes back', async () => {
  const runs = { ended: 0, stays: 0 }
  const ended = async () => void runs.ended++
  await database.listener.session(ended)
  await database.listener.session(async () => void runs.stays++)
  database.listener.endSession(ended)
  const [row] = await database.listener.query('SELECT pg_backend_pid() AS pid')
  await query(schema.url, 'SELECT pg_terminate_backend($1)', [row?.pid])
  await until('connected again', () => runs.stays === 2)
  expect(runs.ended).toBe(1)
})

it('remote control keeps at most a hundred requests that lack a part, and drops the oldest request', async () => {
  const heard: unknown[] = []
  const control = createPostgresControl(database, silentLog())
  await control.serve('celery@test', ({ body }) => void heard.push(body))
  const notify = (part: object) =>
    query(schema.url, 'SELECT pg_notify($1, $2)', [database.channel('control'), JSON.stringify(part)])
  const [first, second] = ['{"headers":{},', '"body":1}'].map((text) => Buffer.from(text).toString('base64'))
  for (let id = 0; id < 101; id++) await notify({ id: String(id), at: 0, of: 2, data: first })
  for (const id of ['0', '100']) await notify({ id, at: 1, of: 2, data: second })
  await until('the newest is heard', () => heard.length > 0)
  await notify({ id: 'last', at: 0, of: 1, data: Buffer.from('{"headers":{},"body":2}').toString('base64') })
  await until('all are heard', () => heard.at(-1) === 2)
  expect(heard).toEqual([1, 2])
  await control.close()
})
