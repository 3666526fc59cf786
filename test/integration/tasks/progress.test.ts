import { Client } from 'pg'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { createTaskReports } from '../../../src/database/task-reports.ts'
import { createTestSchema, query, type TestSchema } from '../../support/database.ts'

let schema: TestSchema
let settling: Client
beforeEach(async () => {
  schema = await createTestSchema()
  settling = new Client({ connectionString: schema.url, options: `-c search_path=${schema.schema}` })
  await settling.connect()
})
afterEach(async () => {
  await settling.end()
  await schema.drop()
})

it('a progress report does not wait for outcomes that are being written, so that no deadlock can follow', async () => {
  const reports = createTaskReports(schema.open(), 'celery@test')
  const say = (...ids: string[]) =>
    Promise.all(ids.map((id) => reports.progress({ id, task: 't', queue: 'q', retries: 0, progress: `"${id} ${ids.length}"` })))
  await say('a', 'b')
  await settling.query('BEGIN')
  await settling.query("UPDATE task_result SET state = 'SUCCESS' WHERE id = 'b'")
  await say('a', 'b', 'c')
  await settling.query('COMMIT')
  await say('b')
  expect(await query(schema.url, `SELECT id, state, progress FROM "${schema.schema}".task_result ORDER BY id`)).toEqual([
    { id: 'a', state: 'STARTED', progress: '"a 3"' },
    { id: 'b', state: 'SUCCESS', progress: '"b 2"' },
    { id: 'c', state: 'STARTED', progress: '"c 3"' },
  ])
})
