import { describe, expect, it } from 'vitest'
import type { Delivery } from '../../../src/broker/broker.ts'
import { createMessage } from '../../../src/message/message.ts'
import { createAttempt } from '../../../src/worker/attempt/attempt.ts'
import { createInbox, type Inbox } from '../../../src/worker/inbox.ts'

const delivery = (id: string, { deliveries = 1, queue = 'celery' } = {}): Delivery => ({
  message: createMessage({ id, task: 't', args: [], queue }),
  deliveries,
  tag: id,
})
const start = (inbox: Inbox, one: Delivery) => {
  const turn = inbox.turnOf(one)
  if (turn === 'run') inbox.started(createAttempt(one, () => {}))
  return turn
}
const tags = (deliveries: Iterable<Delivery> | undefined) => [...(deliveries ?? [])].map(({ tag }) => tag)

describe('the inbox of a worker', () => {
  it('hands out messages in the order of their arrival', () => {
    const inbox = createInbox(3)
    inbox.add([delivery('a'), delivery('b')])
    expect([inbox.shift()?.tag, inbox.shift()?.tag, inbox.shift()]).toEqual(['a', 'b', undefined])
  })

  it('holds a duplicate until the message with its id has ended', () => {
    const inbox = createInbox(3)
    const [first, second] = [delivery('a'), { ...delivery('a'), tag: 'again' }]
    expect([start(inbox, first), start(inbox, second)]).toEqual(['run', 'duplicate'])
    expect(tags(inbox.all())).toEqual(['a', 'again'])
    expect(tags(inbox.ended(first))).toEqual(['again'])
    expect(start(inbox, second)).toBe('run')
  })

  it('reports the end of a message only once', () => {
    const inbox = createInbox(3)
    const one = delivery('a')
    start(inbox, one)
    expect(inbox.ended(one)).toEqual([])
    expect(inbox.ended(one)).toBeUndefined()
  })

  it('runs messages with their last chance one at a time', () => {
    const inbox = createInbox(3)
    const [first, second] = [delivery('a', { deliveries: 3 }), delivery('b', { deliveries: 3 })]
    expect([start(inbox, first), start(inbox, second)]).toEqual(['run', 'last-chance'])
    expect(start(inbox, delivery('c', { deliveries: 2 }))).toBe('run')
    expect(tags(inbox.reserved())).toEqual(['b'])
    inbox.ended(first)
    expect(inbox.shift()).toBe(second)
  })

  it('removes a message together with all messages before it', () => {
    const inbox = createInbox(3)
    const [a, b, c] = [delivery('a'), delivery('b'), delivery('c')]
    inbox.add([a, b, c])
    expect(tags(inbox.takeUpTo(b))).toEqual(['a', 'b'])
    expect(inbox.takeUpTo(b)).toEqual([])
    expect(inbox.last).toBe(c)
  })

  it('removes the messages of all queues except the given queues', () => {
    const inbox = createInbox(3)
    inbox.add([delivery('a'), delivery('b', { queue: 'left' }), delivery('c')])
    expect(tags(inbox.takeOtherQueues(['celery']))).toEqual(['b'])
    expect(tags(inbox.reserved())).toEqual(['a', 'c'])
  })
})
