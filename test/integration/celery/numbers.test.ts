import { randomUUID } from 'node:crypto'
import { type ChannelModel, connect } from 'amqplib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createMessage } from '../../../src/message/message.ts'
import { HOST, openWorker, PLACES, type Place } from '../../support/controlled-worker.ts'
import { createTestSchema, type TestSchema } from '../../support/database.ts'
import { lacks } from '../../support/lacks.ts'
import { until } from '../../support/until.ts'

const openRabbit = PLACES[0][2]
/** Numbers of 8, 16, 32 and 64 bits, for which a library would choose different wire types. */
const NUMBERS = [-5_000_000_000, -40_000, -300, -1, 0, 127, 128, 255, 300, 32_767, 40_000, 1_700_000_000_000, 1.5]

describe.skipIf(lacks('amqp', 'celery'))('numbers in headers between our worker and Python on RabbitMQ', () => {
  let schema: TestSchema
  let place: Place
  let ours: Awaited<ReturnType<typeof openWorker>>
  let evaluate: ReturnType<Place['python']['evaluator']>
  let raw: ChannelModel

  beforeAll(async () => {
    schema = await createTestSchema()
    place = await openRabbit(schema)
    ours = await openWorker(schema, place)
    ours.app.task('tasks.headers', (context) => context.headers, { bind: true })
    evaluate = place.python.evaluator()
    raw = await connect((place.config.broker as { publishUrl: string }).publishUrl)
    await until('the worker answers', async () => JSON.stringify(await evaluate('app.control.ping(timeout=1)')).includes(HOST))
  })
  afterAll(async () => {
    await raw?.close()
    await ours?.worker.stop()
    await ours?.control.stop()
    await place?.close()
    await schema?.drop()
  })

  it.each([120, 254, 300, 32_766, 70_000, 3_000_000_000])('allow a logical clock of %i in answers', async (clock) => {
    const transport = await place.broker.control()
    await transport.broadcast({ headers: { clock, expires: 0 }, body: { method: 'ping', arguments: {} } })
    const { value } = (await evaluate('clocks(5)')) as { value: number[] }
    expect(value).toHaveLength(5)
    expect(value).toEqual([...value].sort((a, b) => a - b))
    expect(value[0]).toBeGreaterThan(clock)
  })

  it('let a Python worker start and run a group of 140 tasks with retries and time limits', async () => {
    await place.python.worker({ mingle: true, args: ['-n', 'celery@python', '-Q', 'python'] })
    const channel = await raw.createChannel()
    const replyTo = (await channel.assertQueue('', { exclusive: true })).queue
    const replies = new Map<string, unknown>()
    const hear = (reply: { content: Buffer } | null) => {
      const { task_id, result } = JSON.parse(reply?.content.toString() ?? '{}')
      replies.set(task_id, result)
    }
    await channel.consume(replyTo, hear, { noAck: true })
    const group = randomUUID()
    const sent = Array.from({ length: 140 }, (_, index) => ({
      ...{ group, group_index: index, retries: 120 + index, timelimit: [300, 200] },
      ...{ number: NUMBERS[index % NUMBERS.length], nested: { list: NUMBERS } },
    }))
    const messages = sent.map((headers) => ({
      ...createMessage({ id: randomUUID(), task: 'py.request', args: [Object.keys(headers)], queue: 'python', headers }),
      properties: { reply_to: replyTo },
    }))
    await place.broker.publish(messages)
    await until('all replies', () => replies.size === sent.length)
    expect(messages.map(({ headers }) => replies.get(headers.id))).toEqual(sent)
    const answer = await evaluate('sorted(app.control.inspect(timeout=5, limit=2).ping())')
    expect(answer).toEqual({ value: [HOST, 'celery@python'].sort() })
  })

  it('are all accepted by our worker when a Python client sends them', async () => {
    const [id, after] = [randomUUID(), randomUUID()]
    const headers = JSON.stringify({ nested: { list: NUMBERS }, ...Object.fromEntries(NUMBERS.map((n) => [`n${n}`, n])) })
    await evaluate(`app.send_task('tasks.headers', task_id='${id}', headers=${headers}).id`)
    await evaluate(`app.send_task('tasks.echo', ['after'], task_id='${after}').id`)
    await until('both tasks run', async () => (await ours.results.find(after))?.state === 'SUCCESS')
    const stored = await until('outcome stored', () => ours.results.find(id))
    expect(stored).toMatchObject({ state: 'SUCCESS', result: JSON.parse(headers) })
  })
})
