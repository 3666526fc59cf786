import { randomUUID } from 'node:crypto'
import { connect } from 'amqplib'
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest'
import { storedOutcomes } from '../../../src/broker/celery-results/stored-again.ts'
import { createLog } from '../../../src/log.ts'
import { createMessage } from '../../../src/message/message.ts'
import { createCeleryAmqp } from '../../support/celery-amqp.ts'
import { openOurs } from '../../support/celery-ours.ts'
import { createTestSchema, type TestSchema } from '../../support/database.ts'
import { lacks } from '../../support/lacks.ts'
import { createTestVhost } from '../../support/rabbit.ts'
import { createOwnRedis, type OwnRedis } from '../../support/redis-server.ts'
import { until } from '../../support/until.ts'

const amqpUrl = inject('amqpUrl')

describe.skipIf(lacks('redis'))('results mirrored to a Redis that is not the broker (RESULT_MIRROR=redis://…)', () => {
  let schema: TestSchema
  let redis: OwnRedis
  beforeEach(async () => {
    schema = await createTestSchema()
    redis = await createOwnRedis()
  })
  afterEach(async () => {
    await redis?.close()
    await schema?.drop()
  })

  const documentOf = async (id: string) => JSON.parse((await redis.redis.get(`celery-task-meta-${id}`)) ?? 'null')

  async function openOursBeside(env: Record<string, string>) {
    const lines: string[] = []
    const log = createLog({ level: 'info', format: 'text' }, { write: (line: string) => void lines.push(line) })
    const ours = await openOurs(schema, { RESULT_MIRROR: redis.url, ...env }, log)
    ours.app.task('tasks.echo', (value: unknown) => value)
    ours.app.task('tasks.slow', (ms: number) => new Promise((resolve) => setTimeout(resolve, ms, ms)))
    return { ...ours, lines }
  }

  it('are written with PostgreSQL as the broker', async () => {
    const ours = await openOursBeside({ ONEDYNO_BROKER: 'postgres' })
    await ours.worker()
    const run = await ours.app.sendTask('tasks.slow', [400])
    const started = await until('started', () => documentOf(run.id))
    expect(started).toMatchObject({ status: 'STARTED', result: { hostname: 'celery@ours' } })
    await until('done', async () => (await documentOf(run.id)).status === 'SUCCESS')
    expect(await documentOf(run.id)).toMatchObject({ result: 400, task_id: run.id, origin: expect.stringMatching(/^onedyno\./) })
    expect(await redis.redis.ttl(`celery-task-meta-${run.id}`)).toBeGreaterThan(86_000)
    await ours.close()
  })

  it('are written when Redis is back after an outage, which delays no task and is logged once', async () => {
    const ours = await openOursBeside({ ONEDYNO_BROKER: 'postgres' })
    await ours.worker()
    await (await ours.app.sendTask('tasks.echo', ['before'])).get()
    await redis.kill()
    const runs = await Promise.all([...Array(50).keys()].map((value) => ours.app.sendTask('tasks.echo', [value])))
    expect(await Promise.all(runs.map((run) => run.get({ timeoutMs: 10_000 })))).toEqual([...Array(50).keys()])
    await redis.start()
    for (const [value, { id }] of runs.entries()) await until('mirrored', async () => (await documentOf(id))?.result === value)
    expect(ours.lines.filter((line) => /Redis/.test(line) && /WARN|ERROR/.test(line))).toHaveLength(1)
    await ours.close()
  })

  it('do not show the password of the URL in the log', async () => {
    const url = redis.url.replace('redis://', 'redis://user:secret@')
    const ours = await openOursBeside({ ONEDYNO_BROKER: 'postgres', RESULT_MIRROR: url })
    await ours.worker()
    await (await ours.app.sendTask('tasks.echo', [1])).get()
    await until('refused', () => ours.lines.some((line) => line.includes('WARN')))
    expect(ours.lines.join('')).toContain('user:***@')
    expect(ours.lines.join('')).not.toContain('secret')
    await ours.close()
  })

  it('need no Redis connection in a process that only sends', async () => {
    const ours = await openOursBeside({ ONEDYNO_BROKER: 'postgres' })
    await ours.app.sendTask('tasks.echo', [1])
    const clients = (await redis.redis.call('CLIENT', 'LIST')) as string
    expect(clients).not.toContain('name=onedyno')
    await ours.close()
  })

  describe.skipIf(amqpUrl === undefined)('with RabbitMQ as the broker', () => {
    it('are received by a Python client with this result backend', async () => {
      const vhost = await createTestVhost(amqpUrl!)
      const ours = await openOursBeside({ CLOUDAMQP_URL: vhost.url })
      const celery = createCeleryAmqp(vhost.url, { BACKEND: redis.url })
      await ours.worker()
      expect(await celery.client().call({ id: randomUUID(), task: 'tasks.echo', args: ['both'] })).toMatchObject({
        value: 'both',
      })
      await celery.close()
      await ours.close()
      await vhost.drop()
    })

    it('of Python workers are collected from the Redis of the mirror', async () => {
      const vhost = await createTestVhost(amqpUrl!)
      const ours = await openOursBeside({ CLOUDAMQP_URL: vhost.url, RESULT_COLLECT: 'on' })
      const celery = createCeleryAmqp(vhost.url, { BACKEND: redis.url })
      await celery.worker()
      expect(await (await ours.app.sendTask('tasks.sum', [[1, 2]])).get({ timeoutMs: 15_000 })).toBe(3)
      await redis.restart()
      expect(await (await ours.app.sendTask('tasks.sum', [[3, 4]])).get({ timeoutMs: 15_000 })).toBe(7)
      await celery.close()
      await ours.close()
      await vhost.drop()
    })

    it('are sent again, like replies, if the worker died after it stored the outcome', async () => {
      const vhost = await createTestVhost(amqpUrl!)
      const ours = await openOursBeside({ CLOUDAMQP_URL: vhost.url })
      const raw = await connect(vhost.url)
      const channel = await raw.createChannel()
      const { queue: reply_to } = await channel.assertQueue('', { exclusive: true })
      const message = { ...createMessage({ id: randomUUID(), task: 'tasks.echo', args: ['told'] }), properties: { reply_to } }
      const { id } = message.headers
      await ours.broker.publish([message])
      // Acts as a worker that is killed right after it stored the outcome.
      const dying = await raw.createChannel()
      await until('taken', () => dying.get('celery'))
      await ours.database.query(
        {
          name: 'store',
          text: "INSERT INTO {schema}.task_result (id, task, state, result, queue, done_at) VALUES ($1, 'tasks.echo', 'SUCCESS', '\"told\"', 'celery', now())",
        },
        [id],
      )
      await dying.close()
      await ours.worker()
      const reply = await until('the reply', async () => (await channel.get(reply_to, { noAck: true })) || undefined)
      expect(JSON.parse(reply.content.toString())).toMatchObject({ task_id: id, status: 'SUCCESS', result: 'told' })
      expect(await until('mirrored', () => documentOf(id))).toMatchObject({ status: 'SUCCESS', result: 'told' })
      expect(await storedOutcomes(ours.database, [message])).toHaveLength(1)
      await until('acknowledged', async () => (await channel.checkQueue('celery')).messageCount === 0)
      await raw.close()
      await ours.close()
      await vhost.drop()
    })
  })
})
