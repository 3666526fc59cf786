import { expect, it } from 'vitest'
import type { Broker, ConsumeOptions, Consumer, Delivery } from '../../../src/broker/broker.ts'
import { createMessage } from '../../../src/message/message.ts'
import { createReplaceableConsumer } from '../../../src/worker/replaceable-consumer.ts'

/** Consumers that record whether they are open. `away`: the broker is unreachable, so they close only within a time limit. */
function createConsumers({ away = false } = {}) {
  const opened: { options: ConsumeOptions; open: boolean }[] = []
  const consume = async (options: ConsumeOptions): Promise<Consumer> => {
    const own = { options, open: true }
    opened.push(own)
    const nothing = () => {}
    const close = async (withinMs?: number) => {
      if (away && withinMs === undefined) await new Promise(nothing)
      own.open = false
    }
    return {
      ...{ finish: nothing, started: nothing, requeue: nothing, deadLetter: nothing, close },
      ...{ begin: async () => {}, stop: async () => {}, flush: async () => {}, acknowledge: async () => false },
    }
  }
  return { opened, broker: { consume } as unknown as Broker }
}

const delivery: Delivery = { message: createMessage({ id: 'a', task: 'tasks.echo', args: [] }), deliveries: 1, tag: 1 }

it.each<[string, (consumer: Consumer) => unknown]>([
  ['finished', (consumer) => consumer.finish(delivery, null)],
  ['requeued', (consumer) => consumer.requeue(delivery, { counted: false })],
  ['kept as a dead letter', (consumer) => consumer.deadLetter(delivery, { reason: 'test' })],
  ['found to belong to another worker before it ran', (consumer) => consumer.acknowledge(delivery)],
])('a replaced consumer is closed when its last message is %s', async (_how, settle) => {
  const { opened, broker } = createConsumers()
  const options = { queues: ['a'], concurrency: 1, name: 'celery@test', onDeliveries() {} }
  const consumer = await createReplaceableConsumer(broker, options)
  await consumer.replace({ queues: ['b'] }, () => [delivery])
  expect(opened.map(({ options: { queues }, open }) => [queues[0], open])).toEqual([
    ['a', true],
    ['b', true],
  ])
  await settle(consumer)
  expect(opened.map(({ open }) => open)).toEqual([false, true])
  await consumer.close()
})

it('close() ends in time although the broker is unreachable and a replaced consumer is still open', async () => {
  const { opened, broker } = createConsumers({ away: true })
  const options = { queues: ['a'], concurrency: 1, name: 'celery@test', onDeliveries() {} }
  const consumer = await createReplaceableConsumer(broker, options)
  await consumer.replace({ queues: ['b'] }, () => [delivery])
  consumer.finish(delivery, null)
  await consumer.close(10)
  expect(opened.map(({ open }) => open)).toEqual([true, false])
})
