import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { cleanUp } from '../../src/database/clean-up.ts'
import type { Database } from '../../src/database/database.ts'
import { createResults } from '../../src/database/results.ts'
import { sql } from '../../src/database/sql.ts'
import { createTestSchema, type TestSchema } from '../support/database.ts'

const TTL_SECONDS = 7 * 24 * 3600
const ROWS = 1_000_000
const OLD = 300_000

let schema: TestSchema
let database: Database
const run = <Row extends Record<string, unknown>>(text: string) => database.query<Row>({ name: '', text })
const count = async (what: string) =>
  (await run<{ count: number }>(`SELECT count(*)::int AS count FROM {schema}.${what}`))[0]!.count

/** Measures the transactions of a clean-up. Each runs one bounded statement. */
function timed(): { database: Database; longestMs: () => number; statements: () => number } {
  const times: number[] = []
  const transaction: Database['transaction'] = async (work) => {
    const startedAt = performance.now()
    const result = await database.transaction(work)
    times.push(performance.now() - startedAt)
    return result
  }
  return { database: { ...database, transaction }, longestMs: () => Math.max(...times), statements: () => times.length }
}

interface Explained extends Record<string, unknown> {
  readonly 'QUERY PLAN': readonly { readonly Plan: object; readonly 'Execution Time': number }[]
}

async function explain(name: string, values: readonly string[]): Promise<{ ms: number; plan: string }> {
  const text = values.reduce((filled, value, index) => filled.replaceAll(`$${index + 1}`, value), sql(name).text)
  const [row] = await run<Explained>(`EXPLAIN (ANALYZE, FORMAT JSON) ${text}`)
  const [plan] = row!['QUERY PLAN']
  return { ms: plan!['Execution Time'], plan: JSON.stringify(plan!.Plan) }
}

beforeAll(async () => {
  schema = await createTestSchema()
  database = schema.open()
  // Rows in the order of their end, over ten days, as in a table that grows.
  await run(`INSERT INTO {schema}.task_result (id, task, state, result, queue, worker, created_at, done_at)
    SELECT 'r' || i, 'tasks.echo', 'SUCCESS', '"result"', 'celery', 'celery@host', t, t
    FROM generate_series(1, ${ROWS}) AS i, LATERAL (SELECT now() - make_interval(secs => 864000 - i * 864000.0 / ${ROWS})) AS at (t)`)
  await run(`INSERT INTO {schema}.task_log (task_id, level, at, message)
    SELECT 'r' || i * 10, 30, now() - make_interval(secs => 864000 - i * 864000.0 / 100000), 'line' FROM generate_series(1, 100000) AS i`)
  await run(`INSERT INTO {schema}.task_group (id, members, created_at)
    SELECT 'g' || i, ARRAY['r' || i], now() - make_interval(secs => 864000 - i * 864000.0 / 100000) FROM generate_series(1, 100000) AS i`)
  await run(
    `INSERT INTO {schema}.unique_task (key, task_id, expires_at) SELECT 'k' || i, 'u' || i, now() - interval '1 minute' FROM generate_series(1, 25000) AS i`,
  )
  await run(
    `INSERT INTO {schema}.revoked (kind, value, revoked_at, expires_at) SELECT 'id', 'v' || i, now() - interval '8 days', now() - interval '1 day' FROM generate_series(1, 25000) AS i`,
  )
  await run('VACUUM ANALYZE {schema}.task_result')
  await run('ANALYZE')
}, 120_000)
afterAll(() => schema.drop())

describe('a table of a million results', () => {
  it('returns one result in less than 50 ms', async () => {
    for (const [name, values] of [
      ['result-find', [`'r777777'`]],
      ['result-locate', [`'r777777'`]],
      ['task-log-list', [`'r777770'`, '100']],
      ['result-ready', [`ARRAY['r777777', 'r888888']`]],
    ] as const) {
      const { ms, plan } = await explain(name, values)
      expect([name, ms < 50], plan).toEqual([name, true])
      expect(plan).not.toMatch(
        /"Seq Scan","Parallel Aware":(true|false),"Async Capable":(true|false),"Relation Name":"task_(result|log)"/,
      )
    }
  })

  it('is cleaned up by statements that each take less than a second', async () => {
    const { database: timing, longestMs, statements } = timed()
    const deleted = await cleanUp(timing, TTL_SECONDS)
    expect(Math.abs(deleted - OLD)).toBeLessThan(100)
    expect(statements()).toBeGreaterThan(OLD / 10_000)
    expect(longestMs()).toBeLessThan(1000)
    expect(await count('task_result')).toBe(ROWS - deleted)
    expect(Math.abs((await count('task_log')) - 70_000)).toBeLessThan(100)
    expect(Math.abs((await count('task_group')) - 70_000)).toBeLessThan(100)
    expect(await count('unique_task')).toBe(0)
    expect(await count('revoked')).toBe(0)
  })

  it('is searched in less than a second if nothing matches', async () => {
    const { database: timing, longestMs, statements } = timed()
    expect(await cleanUp(timing, TTL_SECONDS)).toBeLessThan(100)
    expect(statements()).toBe(5)
    expect(longestMs()).toBeLessThan(1000)
    const { plan } = await explain('result-clean-up', [String(TTL_SECONDS), '10000'])
    expect(plan).toContain('task_result_done_at')
  })
})

describe('a clean-up with a chord of a hundred thousand members', () => {
  it('is as fast as without the chord', async () => {
    await run(
      `INSERT INTO {schema}.chord (id, members, remaining, body) SELECT 'large', array_agg('r' || i), 1, '{}' FROM generate_series(400001, 500000) AS i`,
    )
    await run(`INSERT INTO {schema}.chord_member SELECT unnest(members), id, true FROM {schema}.chord WHERE id = 'large'`)
    await run(
      `UPDATE {schema}.task_result SET expires_at = now() - interval '1 second' WHERE id IN (SELECT 'r' || i FROM generate_series(480001, 520000) AS i)`,
    )
    const { database: timing, longestMs } = timed()
    expect(await cleanUp(timing, TTL_SECONDS)).toBeLessThan(20_100)
    expect(longestMs()).toBeLessThan(1000)
    expect(await count(`task_result WHERE expires_at IS NOT NULL`)).toBe(20_000)
    await run(`DELETE FROM {schema}.chord_member WHERE chord_id = 'large'`)
    await run(`DELETE FROM {schema}.chord WHERE id = 'large'`)
  })
})

describe('a clean-up', () => {
  const old = `now() - interval '30 days'`
  const left = async (table: string, column: string) =>
    (await run<{ value: string }>(`SELECT ${column} AS value FROM {schema}.${table} WHERE ${column} LIKE 'x%' ORDER BY 1`)).map(
      ({ value }) => value,
    )

  it('deletes each result after its own time to live and keeps the results that open chords need', async () => {
    await run(`INSERT INTO {schema}.task_result (id, task, state, created_at, done_at, expires_at) VALUES
      ('x ended', 't', 'SUCCESS', ${old}, ${old}, NULL), ('x kept longer', 't', 'SUCCESS', ${old}, ${old}, now() + interval '1 day'),
      ('x short', 't', 'SUCCESS', now(), now(), now() - interval '1 second'), ('x member', 't', 'SUCCESS', ${old}, ${old}, NULL),
      ('x short member', 't', 'SUCCESS', now(), now(), now() - interval '1 second'),
      ('x never ended', 't', 'STARTED', ${old}, NULL, NULL), ('x waits', 't', 'RETRY', ${old}, NULL, NULL), ('x new', 't', 'SUCCESS', now(), now(), NULL)`)
    await run(`INSERT INTO {schema}.outbox (task_id, queue, task, body, due_at) VALUES ('x waits', 'q', 't', '[]', now() + interval '1 day'),
      ('x far member', 'q', 't', '[]', now() + interval '1 day')`)
    await run(`INSERT INTO {schema}.chord (id, members, remaining, body, created_at) VALUES ('x open', ARRAY['x member', 'x short member', 'x last'], 1, '{}', now()),
      ('x forgotten', ARRAY['x lost'], 1, '{}', ${old}), ('x far', ARRAY['x far member'], 1, '{}', ${old})`)
    await run(`INSERT INTO {schema}.chord_member VALUES ('x member', 'x open', true), ('x short member', 'x open', true), ('x last', 'x open', false),
      ('x lost', 'x forgotten', false), ('x far member', 'x far', false)`)
    await run(
      `INSERT INTO {schema}.task_log (task_id, level, at, message) VALUES ('x ended', 30, ${old}, ''), ('x kept longer', 30, ${old}, ''), ('x short', 30, now(), '')`,
    )
    await run(
      `INSERT INTO {schema}.unique_task (key, task_id, expires_at) VALUES ('x over', 'a', now() - interval '1 second'), ('x held', 'b', now() + interval '1 hour')`,
    )
    await run(
      `INSERT INTO {schema}.revoked (kind, value, revoked_at, expires_at) VALUES ('id', 'x over', now(), now() - interval '1 second'), ('id', 'x held', now(), now() + interval '1 hour')`,
    )
    await run(`INSERT INTO {schema}.redelivery (task_id, touched_at) VALUES ('x over', ${old}), ('x held', now())`)
    expect(await createResults(database).cleanUp(3600 * 24)).toBeGreaterThan(2)
    expect(await left('task_result', 'id')).toEqual(['x kept longer', 'x member', 'x new', 'x short member', 'x waits'])
    expect(await left('task_log', 'task_id')).toEqual(['x kept longer', 'x short'])
    expect(await left('chord', 'id')).toEqual(['x far', 'x open'])
    expect(await left('chord_member', 'task_id')).toEqual(['x far member', 'x last', 'x member', 'x short member'])
    expect(await left('unique_task', 'key')).toEqual(['x held'])
    expect(await left('revoked', 'value')).toEqual(['x held'])
    expect(await left('redelivery', 'task_id')).toEqual(['x held'])
  })

  it('deletes the log lines of a task with its result', async () => {
    await run(`INSERT INTO {schema}.task_result (id, task, state) VALUES ('x forget', 't', 'SUCCESS')`)
    await run(`INSERT INTO {schema}.task_log (task_id, level, at, message) VALUES ('x forget', 30, now(), '')`)
    await createResults(database).forget('x forget')
    expect(await count(`task_log WHERE task_id = 'x forget'`)).toBe(0)
  })
})
