import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { Client } from 'pg'
import { afterEach, beforeEach, describe, expect, inject, it, onTestFinished } from 'vitest'
import { createTestSchema, query, type TestSchema } from '../support/database.ts'
import { type OwnPostgres, postgresPrograms, startOwnPostgres } from '../support/own-postgres.ts'
import { type RoleProcess, startRole } from '../support/role.ts'
import { until } from '../support/until.ts'

const MAIN = 'src/main.ts'
const roles: RoleProcess[] = []

async function start(role: 'web' | 'worker' | 'beat', env: Record<string, string>, ready?: RegExp): Promise<RoleProcess> {
  const started = await startRole(
    role,
    env,
    role === 'web' ? ['-p', '0'] : [],
    ready === undefined ? { main: MAIN } : { main: MAIN, ready },
  )
  roles.push(started)
  return started
}

async function stopRoles(): Promise<void> {
  for (const role of roles.splice(0)) {
    role.kill('SIGTERM')
    expect(await role.exited).toBe(0)
  }
}

const baseOf = (web: RoleProcess) => /url=(http:\S+)/.exec(web.output())?.[1] ?? ''

async function readiness(web: RoleProcess): Promise<string> {
  const response = await fetch(`${baseOf(web)}/readyz`)
  return `${response.status} ${await response.text()}`
}

describe('a database that is read-only', () => {
  const name = `read_only_${randomBytes(4).toString('hex')}`
  let schema: TestSchema
  const url = () => {
    const own = new URL(inject('databaseUrl'))
    own.pathname = `/${name}`
    return own.href
  }
  const setReadOnly = (on: boolean) =>
    query(inject('databaseUrl'), `ALTER DATABASE ${name} SET default_transaction_read_only = ${on ? 'on' : 'off'}`)
  beforeEach(async () => {
    await query(inject('databaseUrl'), `CREATE DATABASE ${name}`)
    schema = await createTestSchema({ url: url() })
    await setReadOnly(true)
  })
  afterEach(async () => {
    await stopRoles()
    await query(inject('databaseUrl'), `DROP DATABASE ${name} WITH (FORCE)`)
  })

  it('makes every role wait, and no role is ready before the database is writable', async () => {
    const waiting = /this database is read-only, waiting until it accepts writes/
    const [web, ...others] = await Promise.all([
      start('web', schema.env),
      start('worker', schema.env, waiting),
      start('beat', schema.env, waiting),
    ])
    const base = baseOf(web)
    expect(await readiness(web)).toBe('503 not ready: DATABASE_READ_ONLY\n')
    const body = new URLSearchParams({ task: 'tasks.echo', args: '["hi"]', schedule: '' })
    const headers = { origin: base, accept: 'application/json' }
    const posted = await fetch(`${base}/`, { method: 'POST', body, headers })
    expect(posted.status).toBe(503)
    await setReadOnly(false)
    await until('worker and beat are ready', () => others.every((role) => / ready /.test(role.output())))
    await until('web is ready', async () => (await readiness(web)) === '200 ready\n')
    for (const role of [web, ...others]) expect(role.output()).not.toMatch(/bug:|^\s+at /m)
  })
})

describe.skipIf(postgresPrograms === undefined)('a PostgreSQL standby', () => {
  let server: OwnPostgres
  let schema: TestSchema
  beforeEach(async () => {
    server = await startOwnPostgres()
    schema = await createTestSchema({ url: server.url })
    await server.becomeStandby()
  }, 30_000)
  afterEach(async () => {
    await stopRoles()
    await server.close()
  })

  it('makes worker and beat wait until it is promoted, while web can read but is not ready', async () => {
    const waiting = /this server is a standby \(read-only\), waiting until it is promoted/
    const [web, ...others] = await Promise.all([
      start('web', schema.env),
      start('worker', schema.env, waiting),
      start('beat', schema.env, waiting),
    ])
    expect(await readiness(web)).toBe('503 not ready: DATABASE_READ_ONLY\n')
    expect((await fetch(`${baseOf(web)}/schedules`)).status).toBe(200)
    await server.promote()
    await until('worker and beat are ready', () => others.every((role) => / ready /.test(role.output())))
    await until('web is ready', async () => (await readiness(web)) === '200 ready\n')
    for (const role of [web, ...others]) expect(role.output()).not.toMatch(/bug:|^\s+at /m)
  }, 30_000)
})

describe('a table that is locked while the server cancels long statements', () => {
  let schema: TestSchema
  beforeEach(async () => {
    schema = await createTestSchema()
  })
  afterEach(async () => {
    await stopRoles()
    await schema.drop()
  })

  it.each<['worker' | 'beat', string[]]>([
    ['worker', ['applied_migration']],
    ['worker', ['worker', 'queue_setting', 'revoked']],
    ['beat', ['schedule']],
  ])('delays the start of %s but does not make it fail (locked tables: %j)', async (role, tables) => {
    const holder = new Client({ connectionString: schema.url })
    await holder.connect()
    onTestFinished(() => holder.end())
    await holder.query('BEGIN')
    for (const table of tables) await holder.query(`LOCK TABLE "${schema.schema}".${table} IN ACCESS EXCLUSIVE MODE`)
    const url = new URL(schema.url)
    url.searchParams.set('options', '-c statement_timeout=200')
    const starting = start(role, { ...schema.env, DATABASE_URL: url.href })
    starting.catch(() => {})
    await until('the start waits', async () => (await waiting(role)).length > 0)
    // Several statements are cancelled meanwhile.
    await delay(1000)
    await holder.query('COMMIT')
    expect((await starting).output()).not.toMatch(/bug:/)
  })

  const waiting = (role: string) =>
    query(schema.url, `SELECT FROM pg_stat_activity WHERE application_name LIKE 'onedyno ${role}%' AND wait_event_type = 'Lock'`)
})
