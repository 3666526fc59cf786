import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { createCeleryAmqp } from '../../support/celery-amqp.ts'
import { type Ours, openOurs, openOursOnRedis } from '../../support/celery-ours.ts'
import type { CeleryProcesses, PythonClient, PythonSignature } from '../../support/celery-process.ts'
import { type CeleryRedis, createCeleryRedis } from '../../support/celery-redis.ts'
import { createTestSchema, type TestSchema } from '../../support/database.ts'
import { lacks } from '../../support/lacks.ts'
import { createTestVhost, type TestVhost } from '../../support/rabbit.ts'
import { createOwnRedis, type OwnRedis } from '../../support/redis-server.ts'
import { until } from '../../support/until.ts'

const amqpUrl = inject('amqpUrl')

interface Place {
  readonly ours: Ours
  readonly celery: CeleryRedis
  readonly python: PythonClient
}

const OURS = { queue: 'ours' }
const ourTasks = ({ app }: Ours) => {
  app.task('tasks.echo', (...args: unknown[]) => args[0])
  app.task('tasks.fail', (text: string) => {
    throw new RangeError(text)
  })
  app.task('tasks.sum', (numbers: number[]) => numbers.reduce((sum, each) => sum + each, 0))
}

/** Results that a Python client receives for chords whose members and bodies run here or in Python. */
function sharedCases(place: () => Place) {
  const chord = (header: PythonSignature[], body: PythonSignature, id: string = randomUUID(), more: object = {}) => {
    place().celery.owns(id)
    return place().python.call({ id, chord: header, body, timeout: 15, ...more })
  }
  const ours = (...args: unknown[]): PythonSignature => ['tasks.echo', args, OURS]
  const theirs = (...args: unknown[]): PythonSignature => ['tasks.echo', args, {}]
  const counters = async () => {
    const keys = await place().celery.redis.keys('celery-taskset-meta-*')
    return keys.filter((key) => /\.[jst]$/.test(key))
  }

  it.each<[string, PythonSignature[], PythonSignature, unknown]>([
    ['its body in Python', [ours(1), ours(2), ours(3)], ['tasks.sum', [], {}], 6],
    ['its body in our worker', [ours(1), ours(2), ours(3)], ['tasks.sum', [], OURS], 6],
    ['one member', [ours(7)], ['tasks.sum', [], {}], 7],
    ['members in both workers', [ours(1), theirs(2), ours(3), theirs(4)], ['tasks.sum', [], OURS], 10],
    ['results in the order of the header', [ours('a'), theirs('b'), ours('c')], ['tasks.echo', [], {}], ['a', 'b', 'c']],
    [
      'a member that ignores its result',
      [['tasks.echo', [5], { ...OURS, ignore_result: true }], ours(1)],
      ['tasks.sum', [], {}],
      6,
    ],
    ['a chain in its header', [ours(1), { chain: [theirs(5), ['tasks.echo', [], OURS]] }], ['tasks.echo', [], {}], [1, 5]],
    [
      'a chain as its body',
      [ours(1), ours(2)],
      {
        chain: [
          ['tasks.sum', [], {}],
          ['tasks.echo', [], {}],
        ],
      },
      3,
    ],
    ['a group in its header', [ours(1), { group: [ours(2), theirs(3)] }], ['tasks.sum', [], {}], 6],
    ['a hundred members', Array.from({ length: 100 }, (_, at) => ours(at)), ['tasks.sum', [], {}], 4950],
  ])('counts a chord with %s', async (_name, header, body, value) => {
    expect(await chord(header, body)).toMatchObject({ state: 'SUCCESS', value })
    await until('counters gone', async () => (await counters()).length === 0)
  })

  it('passes values unchanged that only Python can represent', async () => {
    const answer = await chord([['tasks.big', [], {}], ours(1)], ['tasks.echo', [], {}])
    // JSON.parse in this test loses the last digits.
    expect(answer).toMatchObject({ state: 'SUCCESS', value: [2 ** 64, 1] })
  })

  it.each<[string, PythonSignature[]]>([
    ['fails in our worker', [ours(1), ['tasks.fail', ['boom'], OURS]]],
    ['fails in Python before our last member ends', [['tasks.fail', ['boom'], {}], ours(1)]],
  ])('ends the body as FAILURE if a member %s', async (_name, header) => {
    const id = randomUUID()
    // `.get()` raises what the member raised, before it looks at the body.
    expect(await chord(header, ['tasks.sum', [], OURS], id)).toMatchObject({ error: 'ValueError', args: ['boom'] })
    const text = await until('the body', () => place().celery.redis.get(`celery-task-meta-${id}`))
    const { status, result } = JSON.parse(text)
    expect({ status, ...result }).toMatchObject({ status: 'FAILURE', exc_type: 'ChordError', exc_module: 'celery.exceptions' })
    expect(String(result.exc_message)).toMatch(/^Dependency \S+ raised ValueError\('boom'\)$/)
    for (const key of await counters()) await place().celery.redis.del(key)
  })

  it('stores the FAILURE of the body in the database if our worker ended the chord', async () => {
    const id = randomUUID()
    await chord([['tasks.fail', ['boom'], OURS]], ['tasks.sum', [], OURS], id)
    const stored = await until('outcome stored', () => place().ours.results.find(id))
    expect(stored).toMatchObject({ state: 'FAILURE', task: 'tasks.sum', result: { exc_type: 'ChordError' } })
    for (const key of await counters()) await place().celery.redis.del(key)
  })

  it('runs the errback of the body', async () => {
    const [id, told] = [randomUUID(), randomUUID()]
    place().celery.owns(told)
    const link_error: PythonSignature = ['tasks.echo', [], { task_id: told, ...OURS }]
    await chord([['tasks.fail', ['boom'], OURS]], ['tasks.sum', [], OURS], id, { link_error })
    const stored = await until('told', () => place().ours.results.find(told))
    expect(stored).toMatchObject({ state: 'SUCCESS', result: id })
    for (const key of await counters()) await place().celery.redis.del(key)
  })

  it('counts a member once if its message is redelivered after its outcome was stored', async () => {
    const id = randomUUID()
    const member = randomUUID()
    const answer = chord(
      [
        ['tasks.echo', [1], { ...OURS, task_id: member }],
        ['tasks.slow', [1], {}],
      ],
      ['tasks.echo', [], {}],
      id,
    )
    await until('stored', () => place().ours.results.find(member))
    const { app, broker } = place().ours
    await broker.publish([app.message('tasks.echo', ['again'], { ...OURS, taskId: member })])
    expect(await answer).toMatchObject({ state: 'SUCCESS', value: [1, 1] })
  })
}

describe.skipIf(lacks('redis', 'celery'))('chords of Python on Redis, which our worker counts', () => {
  let schema: TestSchema
  let server: OwnRedis
  let celery: CeleryRedis
  let place: Place
  beforeAll(async () => {
    schema = await createTestSchema()
    server = await createOwnRedis()
    celery = await createCeleryRedis(server.url)
    const ours = openOursOnRedis(schema, celery)
    ourTasks(ours)
    place = { ours, celery, python: celery.client() }
    await Promise.all([ours.worker({ queues: ['ours'] }), celery.worker()])
  })
  afterAll(async () => {
    const rows =
      (await place?.ours.database.query<{ id: string }>({ name: 'i', text: 'SELECT id FROM {schema}.task_result' })) ?? []
    celery?.owns(...rows.map(({ id }) => id))
    await place?.ours.close()
    await celery?.close()
    await server?.close()
    await schema?.drop()
  })
  sharedCases(() => place)
})

describe.skipIf(lacks('amqp', 'redis', 'celery'))(
  'chords of Python on RabbitMQ with results in Redis (RESULT_MIRROR=redis://…)',
  () => {
    let schema: TestSchema
    let vhost: TestVhost
    let server: OwnRedis
    let celery: CeleryRedis
    let amqp: CeleryProcesses
    let place: Place
    beforeAll(async () => {
      schema = await createTestSchema()
      vhost = await createTestVhost(amqpUrl!)
      server = await createOwnRedis()
      celery = await createCeleryRedis(server.url)
      amqp = createCeleryAmqp(vhost.url, { BACKEND: celery.url })
      const ours = await openOurs(schema, { CLOUDAMQP_URL: vhost.url, RESULT_MIRROR: celery.url })
      ourTasks(ours)
      place = { ours, celery, python: amqp.client() }
      await Promise.all([ours.worker({ queues: ['ours'] }), amqp.worker()])
    })
    afterAll(async () => {
      const rows =
        (await place?.ours.database.query<{ id: string }>({ name: 'i', text: 'SELECT id FROM {schema}.task_result' })) ?? []
      celery?.owns(...rows.map(({ id }) => id))
      await place?.ours.close()
      await amqp?.close()
      await celery?.close()
      await server?.close()
      await schema?.drop()
      await vhost?.drop()
    })
    sharedCases(() => place)
  },
)
