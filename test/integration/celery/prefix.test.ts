import { randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import { createCeleryRedis } from '../../support/celery-redis.ts'
import { createTestSchema } from '../../support/database.ts'
import { lacks } from '../../support/lacks.ts'
import { createOwnRedis } from '../../support/redis-server.ts'
import { startRole } from '../../support/role.ts'
import { until } from '../../support/until.ts'

test.skipIf(lacks('redis', 'celery'))('a worker with REDIS_KEY_PREFIX runs tasks of a client with global_keyprefix', async () => {
  const schema = await createTestSchema()
  const server = await createOwnRedis()
  const celery = await createCeleryRedis(server.url)
  const env = { ...schema.env, REDIS_URL: server.url, REDIS_KEY_PREFIX: celery.prefix, RESULT_MIRROR: 'redis' }
  const worker = await startRole('worker', env, [], { main: 'src/main.ts' })
  try {
    const id = randomUUID()
    expect(await celery.client().call({ id, task: 'tasks.echo', args: ['hello'] })).toMatchObject({
      state: 'SUCCESS',
      value: 'hello',
    })
    const keys = (await server.redis.keys('*')).filter((key) => !key.startsWith('celery-task-meta-'))
    expect(keys.filter((key) => !key.startsWith(celery.prefix))).toEqual([])
  } finally {
    worker.kill('SIGTERM')
    await worker.exited
    await celery.close()
    await server.close()
    await schema.drop()
  }
})

test.skipIf(lacks('redis', 'celery'))(
  'RESULT_KEY_PREFIX and an underscore precede the keys of results, as in Celery',
  async () => {
    const schema = await createTestSchema()
    const server = await createOwnRedis()
    const celery = await createCeleryRedis(server.url)
    const env = {
      ...schema.env,
      REDIS_URL: server.url,
      REDIS_KEY_PREFIX: celery.prefix,
      RESULT_MIRROR: 'redis',
      RESULT_KEY_PREFIX: 'shop',
    }
    const worker = await startRole('worker', env, [], { main: 'src/main.ts' })
    try {
      const id = randomUUID()
      // Celery 5.2 has no prefix for results, so this client waits in vain.
      const asked = celery.client().call({ id, task: 'tasks.echo', args: ['hello'], timeout: 1 })
      await until('the result is stored', async () => (await server.redis.exists(`shop_celery-task-meta-${id}`)) === 1)
      expect(await server.redis.exists(`celery-task-meta-${id}`)).toBe(0)
      await asked
    } finally {
      worker.kill('SIGTERM')
      await worker.exited
      await celery.close()
      await server.close()
      await schema.drop()
    }
  },
)
