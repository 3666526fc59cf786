import { afterEach, beforeEach, expect, it } from 'vitest'
import { createPostgresBroker } from '../../src/broker/postgres/broker.ts'
import { silentLog } from '../../src/log.ts'
import { createMessage } from '../../src/message/message.ts'
import { createTestSchema, query, type TestSchema } from '../support/database.ts'
import { createTwoHosts, hasNetworks, type TwoHosts } from '../support/network.ts'
import { type OwnPostgres, postgresPrograms, startOwnPostgres } from '../support/own-postgres.ts'
import { type RoleProcess, startRole } from '../support/role.ts'
import { until } from '../support/until.ts'

let hosts: TwoHosts
let server: OwnPostgres
let schema: TestSchema
const workers: RoleProcess[] = []

const canRun = hasNetworks && postgresPrograms !== undefined

beforeEach(async () => {
  if (!canRun) return
  hosts = createTwoHosts()
  server = await startOwnPostgres({ listenAddress: hosts.nearAddress, through: hosts.on.near })
  schema = await createTestSchema({ url: server.socketUrl })
}, 30_000)
afterEach(async () => {
  if (!canRun) return
  for (const worker of workers.splice(0)) {
    worker.kill('SIGKILL')
    await worker.exited
  }
  await server.close()
  hosts.close()
})

const startWorker = async (url: string, through: readonly string[]) => {
  const env = { ...schema.env, DATABASE_URL: url, DATABASE_SSL: 'off' }
  const args = ['--app', 'test/fixtures/apps/held.ts', '-c', '3']
  const worker = await startRole('worker', env, args, { main: 'src/main.ts', through })
  workers.push(worker)
}

const rows = (text: string) => query(server.socketUrl, text.replaceAll('$', `"${schema.schema}".`))

/** PostgreSQL sends a NOTIFY to every listening session, so the session of the vanished host has unacknowledged data. */
const sendTraffic = () => rows(`SELECT pg_notify('${schema.schema}.message', 'celery') FROM $worker LIMIT 1`)

it.skipIf(!canRun)(
  'tasks of a vanished host run on another host within 30 seconds, although the server still sends to the vanished host',
  async () => {
    await startWorker(server.url, hosts.on.far)
    const broker = createPostgresBroker(schema.open(), schema.config, silentLog())
    await broker.publish(['a', 'b', 'c'].map((id) => createMessage({ id, task: 'held.once', args: [] })))
    const [far] = await until('the far worker runs all', async () => {
      const claimed = await rows('SELECT worker FROM $message WHERE worker IS NOT NULL')
      return claimed.length === 3 ? claimed : undefined
    })
    await startWorker(server.socketUrl, [])
    hosts.part()
    const partedAt = performance.now()
    const traffic = setInterval(() => void sendTraffic().catch(() => {}), 200)
    try {
      await until(
        'the near worker has all tasks',
        async () => (await rows(`SELECT FROM $message WHERE worker <> ${far?.worker}`)).length === 3,
        60_000,
      )
    } finally {
      clearInterval(traffic)
    }
    expect(performance.now() - partedAt).toBeLessThan(30_000)
    await until('no session of the far host is left', async () => {
      const [row] = await rows('SELECT count(*)::int AS sessions FROM pg_stat_activity WHERE client_addr IS NOT NULL')
      return row?.sessions === 0
    })
  },
  80_000,
)
