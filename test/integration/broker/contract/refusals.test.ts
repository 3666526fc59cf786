import { afterAll, beforeEach, describe, expect, it } from 'vitest'
import type { Broker, Delivery } from '../../../../src/broker/broker.ts'
import { createMessage } from '../../../../src/message/message.ts'
import { BROKERS } from '../../../support/brokers/all.ts'
import type { BrokerFixture } from '../../../support/brokers/fixture.ts'
import { until } from '../../../support/until.ts'

const message = (id: string) => createMessage({ id, task: 'tasks.echo', args: [] })

/** A broker outside the database keeps the messages that the database refuses. */
const OUTSIDE = BROKERS.filter(({ isOutside }) => isOutside)

describe.each(OUTSIDE)('$name beside a database that refuses a write', ({ create, closeAll, isMissing }) => {
  let fixture: BrokerFixture
  let broker: Broker
  afterAll(closeAll)
  beforeEach(async ({ skip, onTestFinished }) => {
    skip(isMissing, 'the server does not answer')
    fixture = await create()
    onTestFinished(() => fixture.close())
    broker = await fixture.open()
  })

  const consume = async () => {
    const got: Delivery[] = []
    const onDeliveries = (deliveries: readonly Delivery[]) => void got.push(...deliveries)
    const consumer = await broker.consume({ queues: ['celery'], concurrency: 10, name: 'celery@test', onDeliveries })
    return { consumer, got }
  }
  const run = (text: string) => fixture.database.query<Record<string, unknown>>({ name: '', text })

  it('delivers a message again if no table accepts its id, and also delivers the other messages of its batch again', async () => {
    await broker.publish([message('a\0b'), message('good')])
    const { consumer, got } = await consume()
    await until('delivered', () => got.length === 2)
    for (const delivery of [...got]) consumer.requeue(delivery, { counted: true })
    await until('delivered again', () => got.length === 4)
    expect(got.findLast((each) => each.message.headers.id === 'good')?.deliveries).toBe(2)
    await consumer.close()
  })

  it('acknowledges a message only after its dead letter is stored, however long this takes', async () => {
    await run('CREATE SEQUENCE {schema}.refusals')
    await run(`CREATE FUNCTION {schema}.no_room() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM nextval('{schema}.refusals'); RAISE EXCEPTION 'disk full' USING ERRCODE = '53100'; END $$`)
    await run('CREATE TRIGGER no_room BEFORE INSERT ON {schema}.dead_letter FOR EACH ROW EXECUTE FUNCTION {schema}.no_room()')
    await broker.publish([message('a')])
    const { consumer, got } = await consume()
    await until('delivered', () => got.length === 1)
    consumer.deadLetter(got[0]!, { reason: 'test' })
    // A sequence also counts rolled-back transactions.
    await until('refused', async () => (await run('SELECT is_called FROM {schema}.refusals'))[0]?.is_called === true)
    await run('DROP TRIGGER no_room ON {schema}.dead_letter')
    await consumer.flush()
    expect(await run('SELECT task_id FROM {schema}.dead_letter')).toEqual([{ task_id: 'a' }])
    const [depth] = await broker.depths(['celery'])
    expect(depth).toMatchObject({ ready: 0, running: 0 })
    await consumer.close()
  })
})
