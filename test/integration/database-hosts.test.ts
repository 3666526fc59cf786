import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { runCommand } from '../support/command.ts'
import { createTestSchema, query, type TestSchema } from '../support/database.ts'
import { startTestDatabase, type TestDatabase } from '../support/embedded.ts'
import { freePort } from '../support/redis-server.ts'
import { type RoleProcess, startRole } from '../support/role.ts'
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts'
import { until } from '../support/until.ts'

/** Where a server of the tests listens: its host may be a folder with a socket. */
const targetOf = (url: string) => {
  const { hostname, port, searchParams } = new URL(url.replace('@/', '@localhost/'))
  const folder = searchParams.get('host')
  return folder === null
    ? { host: hostname || '127.0.0.1', port: Number(port || 5432) }
    : { path: `${folder}/.s.PGSQL.${port || searchParams.get('port') || 5432}` }
}

describe('a list of PostgreSQL hosts', () => {
  let server: TestDatabase
  let schema: TestSchema
  let first: TcpProxy
  let second: TcpProxy
  let env: Record<string, string>
  let worker: RoleProcess
  beforeAll(async () => {
    server = await startTestDatabase()
    schema = await createTestSchema({ url: server.url })
    first = await startTcpProxy(targetOf(server.url))
    second = await startTcpProxy(targetOf(server.url))
    const { username, password, pathname } = new URL(server.url.replace('@/', '@localhost/'))
    const user = password === '' ? username : `${username}:${password}`
    // Nothing listens at the first address.
    const url = `postgresql://${user}@127.0.0.1:${await freePort()},127.0.0.1:${first.port},127.0.0.1:${second.port}${pathname}?target_session_attrs=read-write`
    env = { ...schema.env, DATABASE_URL: url }
    worker = await startRole('worker', env, [], { main: 'src/main.ts' })
  })
  afterAll(async () => {
    worker.kill('SIGKILL')
    await worker.exited
    await first.close()
    await second.close()
    await schema.drop()
    await server.stop()
  })

  const call = (value: string) =>
    runCommand(env, 'call', 'tasks.echo', '--args', JSON.stringify([value]), '--wait', '--timeout', '20')

  test('is tried in turn by migrate and by roles', async () => {
    expect(await runCommand(env, 'migrate')).toMatchObject({ code: 0 })
    expect(first.connections).toBeGreaterThan(0)
    expect(await call('first')).toMatchObject({ code: 0, stdout: '"first"\n' })
  })

  test('leads to the next host when the connected host goes away', async () => {
    first.shut()
    await until('the worker is connected to the second host', () => second.connections > 0)
    expect(await call('second')).toMatchObject({ code: 0, stdout: '"second"\n' })
    first.open()
  })

  test('causes an error with the reason while every server is read-only', async () => {
    await query(server.url, 'ALTER SYSTEM SET default_transaction_read_only = on')
    await query(server.url, 'SELECT pg_reload_conf()')
    try {
      await until(
        'read-only',
        async () => (await query(server.url, 'SHOW transaction_read_only'))[0]?.transaction_read_only === 'on',
      )
      const { code, stderr } = await call('refused')
      expect(code).toBe(69)
      expect(stderr).toMatch(/no host accepts writes \(.*is read-only; .*is read-only/)
    } finally {
      await query(server.url, 'ALTER SYSTEM RESET default_transaction_read_only')
      await query(server.url, 'SELECT pg_reload_conf()')
    }
  })
})
