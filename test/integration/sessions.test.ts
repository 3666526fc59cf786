import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Database } from '../../src/database/database.ts'
import { createTestSchema, query, type TestSchema } from '../support/database.ts'
import { until } from '../support/until.ts'

/** The timeouts by which the server detects a machine that vanished, as this session has them. */
const TIMEOUTS = {
  name: 'timeouts',
  text: `SELECT pg_backend_pid() AS pid, inet_server_addr() IS NULL AS is_socket, current_setting('tcp_user_timeout') AS unacknowledged,
    current_setting('tcp_keepalives_idle') AS idle, current_setting('tcp_keepalives_interval') AS interval,
    current_setting('tcp_keepalives_count') AS count, pg_sleep(0.1)`,
}

let schema: TestSchema
let database: Database
beforeEach(async () => {
  schema = await createTestSchema()
  database = schema.open({ name: schema.schema, env: { DATABASE_POOL: '3' } })
})
afterEach(async () => {
  vi.useRealTimers()
  await schema.drop()
})

const backends = async () =>
  (await query(schema.url, 'SELECT pid FROM pg_stat_activity WHERE application_name LIKE $1', [`onedyno ${schema.schema}%`])).map(
    ({ pid }) => pid as number,
  )

describe('every database session', () => {
  it('detects within half a minute that the machine of the server vanished, also while data is sent', async () => {
    const pool = () => database.query(TIMEOUTS)
    const inTransaction = () => database.transaction((client) => client.query(TIMEOUTS))
    const rows = (await Promise.all([pool(), pool(), inTransaction(), database.listener.query(TIMEOUTS.text)])).flat()
    const sessions = new Set(rows.map(({ pid }) => pid))
    expect(sessions.size).toBe(4)
    expect(sessions).toEqual(new Set(await backends()))
    if (rows[0]?.is_socket) return
    for (const row of rows) expect(row).toMatchObject({ unacknowledged: '25000', idle: '10', interval: '5', count: '3' })
  })

  it('has the same timeouts after a new connection was opened', async () => {
    await database.listener.query('SELECT 1')
    await Promise.all([database.query(TIMEOUTS), database.query(TIMEOUTS)])
    const former = await backends()
    await query(schema.url, 'SELECT pg_terminate_backend(pid) FROM unnest($1::int[]) AS pid', [former])
    await until('the listener is back', () => database.listener.connected)
    await until('no former session', async () => (await backends()).every((pid) => !former.includes(pid)))
    const rows = (await Promise.all([database.query(TIMEOUTS), database.listener.query(TIMEOUTS.text)])).flat()
    if (rows[0]?.is_socket) return
    for (const row of rows) expect(row.unacknowledged).toBe('25000')
  })
})

it('the pool closes idle connections after a minute, except one connection', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  await Promise.all([database.query(TIMEOUTS), database.query(TIMEOUTS), database.query(TIMEOUTS)])
  vi.advanceTimersByTime(59_000)
  expect(await backends()).toHaveLength(3)
  vi.advanceTimersByTime(2000)
  vi.useRealTimers()
  await until('given back', async () => (await backends()).length === 1)
  expect(await database.query(TIMEOUTS)).toHaveLength(1)
})
