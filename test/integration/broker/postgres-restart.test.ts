import { expect, it, onTestFinished } from 'vitest'
import { hasPostgres, startPostgres } from '../../../bench/chaos-servers.ts'
import { createPostgresBroker } from '../../../src/broker/postgres/broker.ts'
import { silentLog } from '../../../src/log.ts'
import { createTestSchema, query } from '../../support/database.ts'
import { until } from '../../support/until.ts'

it.skipIf(!hasPostgres())(
  'no worker is declared dead right after a restart of PostgreSQL, before the workers hold their locks again',
  async () => {
    const server = await startPostgres()
    onTestFinished(() => server.stop())
    await until('it answers', () =>
      query(server.url, 'SELECT').then(
        () => true,
        () => false,
      ),
    )
    const { schema, config, open, drop } = await createTestSchema({ url: server.url })
    onTestFinished(drop)
    await query(server.url, `INSERT INTO "${schema}".worker (name, queues, concurrency) VALUES ('connects again', '{celery}', 1)`)
    await server.restart()
    await until('it answers again', () =>
      query(server.url, 'SELECT').then(
        () => true,
        () => false,
      ),
    )
    const broker = createPostgresBroker(open(), config, silentLog())
    const consumer = await broker.consume({ queues: ['celery'], concurrency: 1, name: 'celery@new', onDeliveries() {} })
    onTestFinished(() => consumer.close())
    const workers = async () =>
      (await query(server.url, `SELECT name FROM "${schema}".worker ORDER BY id`)).map(({ name }) => name)
    expect(await workers()).toEqual(['connects again', 'celery@new'])
    await until('dead for certain', async () => (await workers()).length === 1, 10_000)
  },
)
