import type { QueueBinding } from '../broker/control-transport.ts'
import type { Arguments, Panel } from './panel.ts'
import { isText } from './python-values.ts'
import { pythonRepr } from './repr.ts'

/** The types of exchanges that need nothing but a routing key. */
const EXCHANGE_TYPES = ['direct', 'fanout', 'topic']
const MAX_EXCHANGE_BYTES = 127
const MAX_ROUTING_KEY_BYTES = 255

/** Takes from one more queue. If the request names an exchange or a routing key, the queue is bound to the exchange first. */
export async function addConsumer({ worker, bindQueue }: Panel, given: Arguments) {
  const { queue } = given
  if (typeof queue !== 'string' || !/^[^\0,]{1,200}$/.test(queue)) return { error: `not a queue name: ${pythonRepr(queue)}` }
  const wrong = wrongOption(given)
  if (wrong !== undefined) return { error: wrong }
  const binding = bindingOf(queue, given)
  if (binding !== undefined && bindQueue === undefined)
    return { error: `this broker has no exchanges: add_consumer takes the queue ${pythonRepr(queue)} alone` }
  if (binding !== undefined) await bindQueue?.(binding)
  if (worker.queues.includes(queue)) return { ok: `already consuming from ${pythonRepr(queue)}` }
  await worker.reconfigure({ queues: [...worker.queues, queue] })
  return { ok: `add consumer ${queue}` }
}

export async function cancelConsumer({ worker }: Panel, { queue }: Arguments) {
  if (typeof queue !== 'string') return { error: `not a queue name: ${pythonRepr(queue)}` }
  if (worker.queues.includes(queue)) await worker.reconfigure({ queues: worker.queues.filter((each) => each !== queue) })
  return { ok: `no longer consuming from ${queue}` }
}

/** Celery passes further options to kombu's Queue. An option without an effect here is refused, not ignored. */
function wrongOption({ queue, exchange, exchange_type, routing_key, ...others }: Arguments): string | undefined {
  const unknown = Object.keys(others).filter((name) => others[name] != null)
  if (unknown.length > 0)
    return `add_consumer does not take ${unknown.map(pythonRepr).join(', ')}: it takes queue, exchange, exchange_type, routing_key`
  if (isText(exchange_type) ? !EXCHANGE_TYPES.includes(exchange_type) : exchange_type != null && exchange_type !== '')
    return `exchange_type is ${pythonRepr(exchange_type)}, not direct, fanout or topic`
  return wrongName('exchange', exchange, MAX_EXCHANGE_BYTES) ?? wrongName('routing_key', routing_key, MAX_ROUTING_KEY_BYTES)
}

const wrongName = (option: string, value: unknown, maxBytes: number): string | undefined =>
  value == null || (typeof value === 'string' && Buffer.byteLength(value) <= maxBytes)
    ? undefined
    : `${option} is not a text of at most ${maxBytes} bytes: ${pythonRepr(value)}`

/** As `app.amqp.queues.select_add` of Celery: the exchange and the routing key have the name of the queue by default. */
function bindingOf(queue: string, { exchange, exchange_type, routing_key }: Arguments): QueueBinding | undefined {
  const textOr = (value: unknown, otherwise: string) => (isText(value) ? value : otherwise)
  const binding = {
    queue,
    exchange: textOr(exchange, queue),
    type: textOr(exchange_type, 'direct'),
    routingKey: textOr(routing_key, queue),
  }
  const isDefault = binding.exchange === queue && binding.type === 'direct' && binding.routingKey === queue
  return isDefault ? undefined : binding
}
