import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { runCommand } from '../../support/command.ts'
import { createTestSchema, query, type TestSchema } from '../../support/database.ts'
import { lacks } from '../../support/lacks.ts'
import { createOwnRedis, createSentinel, freePort, type OwnRedis } from '../../support/redis-server.ts'
import { type RoleProcess, startRole } from '../../support/role.ts'
import { until } from '../../support/until.ts'

const main = 'src/main.ts'

describe.skipIf(lacks('redis'))('a Redis that is not a plain primary', () => {
  let schema: TestSchema
  let primary: OwnRedis
  let replica: OwnRedis
  beforeAll(async () => {
    schema = await createTestSchema()
    primary = await createOwnRedis()
    replica = await createOwnRedis(['--replicaof', `127.0.0.1 ${new URL(primary.url).port}`])
  })
  afterAll(async () => {
    await replica.close()
    await primary.close()
    await schema.drop()
  })

  const envOf = (url: string) => ({ ...schema.env, REDIS_URL: url, PORT: '0' })
  const worker = async (url: string, env: Record<string, string> = {}): Promise<RoleProcess> => {
    const role = await startRole('worker', { ...envOf(url), ...env }, [], { main })
    onTestFinished(async () => {
      role.kill('SIGKILL')
      await role.exited
    })
    return role
  }
  const call = (url: string, value: string, env: Record<string, string> = {}) =>
    runCommand({ ...envOf(url), ...env }, 'call', 'tasks.echo', '--args', JSON.stringify([value]), '--wait', '--timeout', '20')

  test.each(['web', 'worker', 'beat'])('that is a replica ends %s with code 78 at its start', async (role) => {
    const { code, stderr } = await runCommand(envOf(replica.url), role)
    expect({ code, stderr }).toMatchObject({ code: 78, stderr: expect.stringContaining('is a read-only replica of 127.0.0.1') })
    expect(stderr).toContain('hint: Use the primary')
  })

  test('that is a replica and stores the results ends a worker with code 78 at its start', async () => {
    const { code, stderr } = await runCommand({ ...schema.env, RESULT_MIRROR: replica.url }, 'worker')
    expect({ code, stderr }).toMatchObject({ code: 78, stderr: expect.stringContaining('is a read-only replica') })
  })

  test('that is a node of Redis Cluster ends a worker with code 78', async () => {
    const cluster = await createOwnRedis(['--cluster-enabled', 'yes'])
    onTestFinished(() => cluster.close())
    const { code, stderr } = await runCommand(envOf(cluster.url), 'worker')
    expect({ code, stderr }).toMatchObject({ code: 78, stderr: expect.stringContaining('is a node of Redis Cluster') })
  })

  test('that has no database with the number in the URL ends a worker with code 78', async () => {
    const { code, stderr } = await runCommand(envOf(`${primary.url}/99`), 'worker')
    expect({ code, stderr }).toMatchObject({ code: 78, stderr: expect.stringContaining('refuses its database') })
  })

  test('that is a replica makes the call of a sender throw and leaves no message in the outbox', async () => {
    const { code, stderr } = await call(replica.url, 'refused')
    expect({ code, stderr }).toMatchObject({ code: 78, stderr: expect.stringContaining('is a read-only replica') })
    expect(await query(schema.url, `SELECT FROM "${schema.schema}".outbox`)).toEqual([])
  })

  test('that is demoted to a replica while a worker runs counts as away until it is a primary again', async () => {
    const own = await createOwnRedis()
    onTestFinished(() => own.close())
    const role = await worker(own.url)
    await own.redis.replicaof('127.0.0.1', new URL(primary.url).port)
    await own.redis.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
    await until('the reason is logged', () => role.output().includes('is a read-only replica'))
    await new Promise((resolve) => setTimeout(resolve, 1500))
    // At most one line of each kind for each of the two connections.
    expect(role.output().match(/Redis connection away/g)?.length).toBeLessThanOrEqual(2)
    expect(role.output().match(/Redis cannot be used now/g)?.length).toBeLessThanOrEqual(2)
    expect(role.output()).not.toContain('Redis connection is back')
    await own.redis.replicaof('NO', 'ONE')
    await until('the connection is back', () => role.output().includes('Redis connection is back'))
    expect(await call(own.url, 'again')).toMatchObject({ code: 0, stdout: expect.stringContaining('again') })
  })
})

describe.skipIf(lacks('redis'))('Redis behind Sentinels', () => {
  test('is found through one Sentinel of a list, and found again after a failover', async () => {
    const schema = await createTestSchema()
    const primary = await createOwnRedis()
    const replica = await createOwnRedis(['--replicaof', `127.0.0.1 ${new URL(primary.url).port}`])
    await until('the replica is in sync', async () => (await replica.redis.info('replication')).includes('master_link_status:up'))
    const sentinel = await createSentinel(primary.url)
    const url = `sentinel://127.0.0.1:${await freePort()};sentinel://127.0.0.1:${sentinel.port}/1`
    const env = { ...schema.env, REDIS_URL: url, REDIS_MASTER_NAME: 'mymaster' }
    const role = await startRole('worker', env, [], { main })
    try {
      const call = (value: string) =>
        runCommand(env, 'call', 'tasks.echo', '--args', JSON.stringify([value]), '--wait', '--timeout', '20')
      expect(await call('before')).toMatchObject({ code: 0, stdout: expect.stringContaining('before') })
      await primary.kill()
      await until('the replica leads', async () => (await replica.redis.info('replication')).includes('role:master'))
      expect(await call('after')).toMatchObject({ code: 0, stdout: expect.stringContaining('after') })
      role.kill('SIGTERM')
      expect(await role.exited).toBe(0)

      const port = await runCommand({ ...schema.env, REDIS_URL: `redis://127.0.0.1:${sentinel.port}` }, 'worker')
      expect(port).toMatchObject({ code: 78, stderr: expect.stringContaining('is a Sentinel, not the Redis that it watches') })
    } finally {
      role.kill('SIGKILL')
      await sentinel.close()
      await replica.close()
      await primary.close()
      await schema.drop()
    }
  })
})
