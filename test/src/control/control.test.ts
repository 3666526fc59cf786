import { describe, expect, it } from 'vitest'
import type { Outcome } from '../../../src/app/outcome.ts'
import type { Delivery } from '../../../src/broker/broker.ts'
import type { ControlMessage } from '../../../src/broker/control-transport.ts'
import { isAddressed } from '../../../src/control/destination.ts'
import { createEmitter } from '../../../src/control/emitter.ts'
import { endedEvent } from '../../../src/control/events.ts'
import { createLamport } from '../../../src/control/lamport.ts'
import { pythonRepr } from '../../../src/control/repr.ts'
import { createMessage } from '../../../src/message/message.ts'

describe('isAddressed', () => {
  const me = 'celery@dyno-1'
  it.each([
    ['accepts a request without a destination', {}, true],
    ['accepts a request that names this worker', { destination: ['x@y', me] }, true],
    ['refuses a request that names other workers', { destination: ['x@y'] }, false],
    ['refuses an empty list of workers', { destination: [] }, false],
    ['accepts a matching glob', { pattern: 'celery@*-?' }, true],
    ['accepts a matching character class', { pattern: 'celery@dyno-[12]', matcher: 'glob' }, true],
    ['refuses a glob that matches only the start of the name', { pattern: 'celery' }, false],
    ['reads a dot in a glob literally', { pattern: 'celery.dyno-1' }, false],
    ['accepts a regular expression that matches the start of the name', { pattern: 'cel.*@', matcher: 'pcre' }, true],
    ['refuses an invalid regular expression', { pattern: '(', matcher: 'pcre' }, false],
  ])('%s', (_name, destination, yes) => {
    expect(isAddressed(destination, me)).toBe(yes)
  })
})

describe('pythonRepr', () => {
  it.each([
    [null, 'None'],
    [true, 'True'],
    ['text', "'text'"],
    ["it's", '"it\'s"'],
    ['a\nb', "'a\\nb'"],
    [[1, 'a', null], "[1, 'a', None]"],
    [{ key: [false] }, "{'key': [False]}"],
  ])('prints %j as Python does', (value, text) => {
    expect(pythonRepr(value)).toBe(text)
  })
})

describe('the logical clock', () => {
  it('is ahead of every received clock, and ignores clocks that are not integers', () => {
    const clock = createLamport()
    clock.adjust(41)
    clock.adjust('99')
    clock.adjust(3)
    expect(clock.forward()).toBe(44)
  })
})

const outcome = (more: Partial<Outcome>): Outcome => ({
  id: 'the-id',
  task: 'tasks.add',
  state: 'SUCCESS',
  result: '5',
  traceback: null,
  queue: 'celery',
  retries: 0,
  startedAt: 1000,
  doneAt: 1250,
  ...more,
})

const exception = (exc_type: string, ...exc_message: unknown[]) =>
  JSON.stringify({ exc_type, exc_message, exc_module: 'builtins' })

describe('the event of an outcome', () => {
  it.each([
    ['a success', outcome({}), ['task-succeeded', { uuid: 'the-id', result: '5', runtime: 0.25 }]],
    [
      'a failure',
      outcome({ state: 'FAILURE', result: exception('ValueError', 'boom', 7), traceback: 'at …' }),
      ['task-failed', { uuid: 'the-id', exception: "ValueError('boom', 7)", traceback: 'at …' }],
    ],
    [
      'an expired message',
      outcome({ state: 'REVOKED', result: exception('TaskRevokedError', 'expired') }),
      ['task-revoked', { uuid: 'the-id', terminated: false, signum: null, expired: true }],
    ],
    [
      'a terminated task',
      outcome({ state: 'REVOKED', result: exception('TaskRevokedError', 'terminated') }),
      ['task-revoked', { uuid: 'the-id', terminated: true, signum: 15, expired: false }],
    ],
  ])("has Celery's name and fields for %s", (_name, given, expected) => {
    expect(endedEvent(given)).toEqual(expected)
  })
})

describe('the emitter', () => {
  const open = () => {
    const sent: { key: string; message: ControlMessage }[] = []
    const transport = { carriesEvents: true, emit: (key: string, message: ControlMessage) => void sent.push({ key, message }) }
    const options = { hostname: 'celery@ours', version: '1.2.3', transport, clock: createLamport(), active: () => 2 }
    return { sent, emitter: createEmitter(options) }
  }
  const delivery: Delivery = {
    message: createMessage({ id: 'the-id', task: 'tasks.add', args: [2, 3] }),
    deliveries: 1,
    tag: undefined,
  }
  const runOnce = ({ observer }: ReturnType<typeof open>['emitter']) => {
    observer.received([delivery])
    observer.started(delivery)
    observer.ended(delivery, outcome({}))
  }

  it('counts tasks but sends nothing while events are disabled', async () => {
    const { sent, emitter } = open()
    runOnce(emitter)
    emitter.close()
    await new Promise(setImmediate)
    expect(sent).toEqual([])
    expect([...emitter.totals]).toEqual([['tasks.add', 1]])
  })

  it("sends the events of one turn as one message, with Celery's fields and order", async () => {
    const { sent, emitter } = open()
    expect(emitter.enable()).toBe(true)
    expect(emitter.enable()).toBe(false)
    runOnce(emitter)
    await new Promise(setImmediate)
    emitter.close()
    expect(sent.map(({ key }) => key)).toEqual(['worker.online', 'task.multi', 'worker.offline'])
    expect(sent[0]?.message.body).toMatchObject({
      type: 'worker-online',
      freq: 2,
      active: 2,
      sw_ident: 'onedyno',
      sw_ver: '1.2.3',
    })
    expect(sent[0]?.message.body).not.toHaveProperty('utcoffset')
    const common = { hostname: 'celery@ours', pid: process.pid, timestamp: expect.any(Number) }
    expect(sent[1]?.message).toEqual({
      headers: { hostname: 'celery@ours' },
      body: [
        {
          ...common,
          ...{ type: 'task-received', clock: 2, uuid: 'the-id', name: 'tasks.add', args: '[2,3]', kwargs: '{}' },
          ...{ root_id: 'the-id', parent_id: null, retries: 0, eta: null, expires: null },
        },
        { ...common, type: 'task-started', clock: 3, uuid: 'the-id' },
        { ...common, type: 'task-succeeded', clock: 4, uuid: 'the-id', result: '5', runtime: 0.25 },
      ],
    })
    expect(sent[2]?.message.body).toMatchObject({ type: 'worker-offline', processed: 1 })
  })
})
