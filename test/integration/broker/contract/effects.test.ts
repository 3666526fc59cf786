import { createHash } from 'node:crypto'
import { Client } from 'pg'
import { afterAll, beforeEach, describe, expect, inject, it } from 'vitest'
import type { Effects, Plan } from '../../../../src/app/effects.ts'
import type { Outcome, State } from '../../../../src/app/outcome.ts'
import type { Broker, Consumer, Delivery } from '../../../../src/broker/broker.ts'
import { sendPlan } from '../../../../src/broker/outbox/send-plan.ts'
import { createMessage, decodeBody, type Message } from '../../../../src/message/message.ts'
import type { Signature } from '../../../../src/message/signature.ts'
import { BROKERS } from '../../../support/brokers/all.ts'
import type { BrokerFixture } from '../../../support/brokers/fixture.ts'
import { until } from '../../../support/until.ts'

type Run = (delivery: Delivery, consumer: Consumer) => void

const message = (id: string, options: Partial<Parameters<typeof createMessage>[0]> = {}): Message =>
  createMessage({ id, task: 'tasks.echo', args: [id], ...options })

const idOf = ({ message }: Delivery) => message.headers.id
const retriesOf = ({ message }: Delivery) => message.headers.retries ?? 0
const planOf = (...messages: Message[]): Plan => ({ messages, chords: [], groups: [] })

const outcome = (delivery: Delivery, state: State = 'SUCCESS', result = 'null'): Outcome => ({
  id: idOf(delivery),
  task: delivery.message.headers.task,
  state,
  result,
  traceback: null,
  queue: delivery.message.queue,
  retries: retriesOf(delivery),
  startedAt: Date.now(),
  doneAt: state === 'RETRY' ? null : Date.now(),
})

const boom = JSON.stringify({ exc_type: 'ValueError', exc_message: ["it's no"], exc_module: 'builtins' })

const signature = (task: string, id: string, options: Signature['options'] = {}): Signature => ({
  task,
  args: [],
  kwargs: {},
  options: { task_id: id, ...options },
  subtask_type: null,
  immutable: false,
})

const chordOf = (members: readonly string[], body: Signature): Plan => ({
  messages: members.map((id) => message(id)),
  chords: [{ id: `chord of ${body.options.task_id}`, members, body, rootId: 'root' }],
  groups: [{ id: `chord of ${body.options.task_id}`, members }],
})

describe.each(BROKERS)('$name: effects of an outcome', ({ create, closeAll, isMissing, isOutside }) => {
  let fixture: BrokerFixture
  let broker: Broker
  const consumers: Consumer[] = []
  const brokers = new Set<Broker>()

  afterAll(closeAll)
  beforeEach(async ({ skip, onTestFinished }) => {
    skip(isMissing, 'the server does not answer')
    fixture = await create()
    onTestFinished(async () => {
      for (const consumer of consumers.splice(0)) await consumer.close(1000)
      brokers.clear()
      await fixture.close()
    })
    broker = await open()
  })

  const open = async () => {
    const opened = await fixture.open()
    brokers.add(opened)
    return opened
  }
  const rows = <Row extends Record<string, unknown>>(text: string) =>
    fixture.database.query<Row>({ name: createHash('md5').update(text).digest('hex'), text })
  const ids = async (table: string) =>
    (await rows<{ task_id: string }>(`SELECT task_id FROM {schema}.${table} ORDER BY 1`)).map((row) => row.task_id)
  const state = async (id: string) => (await fixture.recorded()).get(id)
  const send = (plan: Plan) => sendPlan({ database: fixture.database, broker }, plan)

  /** Waits for a condition and publishes the outbox meanwhile, as a worker does. */
  const eventually = (what: string, ask: () => unknown) =>
    until(what, async () => {
      for (const each of brokers) await each.relayDue(500)
      return ask()
    })

  const consume = async (on: Broker, run: Run = () => {}, kept = true) => {
    const got: Delivery[] = []
    const early: Delivery[] = []
    let consumer: Consumer | undefined
    const onDeliveries = (deliveries: readonly Delivery[]) => {
      for (const delivery of deliveries) {
        got.push(delivery)
        if (consumer === undefined) early.push(delivery)
        else run(delivery, consumer)
      }
    }
    consumer = await on.consume({ queues: ['celery'], concurrency: 20, name: 'celery@test', onDeliveries })
    if (kept) consumers.push(consumer)
    for (const delivery of early) run(delivery, consumer)
    return { consumer, got, of: (id: string) => got.filter((delivery) => idOf(delivery) === id) }
  }
  const finishAs =
    (effectsOf: (delivery: Delivery) => Effects | undefined, outcomeOf = (delivery: Delivery) => outcome(delivery)): Run =>
    (delivery, consumer) =>
      consumer.finish(delivery, outcomeOf(delivery), { effects: effectsOf(delivery) })

  it('are written with the outcome', async () => {
    const later = new Date(Date.now() + 3_600_000)
    const plan = { ...planOf(message('b'), message('c', { eta: later })), groups: [{ id: 'g', members: ['b', 'c'] }] }
    const lines = [{ level: 30, at: 1234.5, message: 'a \0 line', fields: '{"x":1}' }]
    const extra = { ttlSeconds: 60, parentId: 'p', rootId: 'r', children: ['b', { group: 'g' }], progress: '{"n":1}' }
    await broker.publish([message('a')])
    const first = finishAs((delivery) => (idOf(delivery) === 'a' ? { plan, logs: lines, extra } : undefined))
    const { of } = await consume(broker, first)
    await eventually('the next step has ended', async () => (await state('b')) === 'SUCCESS')
    expect(of('b')).toHaveLength(1)
    expect(await rows('SELECT task_id, due_at FROM {schema}.outbox')).toEqual([{ task_id: 'c', due_at: later }])
    expect(await rows('SELECT id, members FROM {schema}.task_group')).toEqual([{ id: 'g', members: ['b', 'c'] }])
    expect(await rows('SELECT task_id, retries, level, message, fields FROM {schema}.task_log')).toEqual([
      { task_id: 'a', retries: 0, level: 30, message: 'a \uFFFD line', fields: '{"x":1}' },
    ])
    expect(
      await rows(`SELECT parent_id, root_id, children, progress, next_at, extract(epoch FROM expires_at - now())::int BETWEEN 50 AND 60 AS kept
          FROM {schema}.task_result WHERE id = 'a'`),
    ).toEqual([{ parent_id: 'p', root_id: 'r', children: '["b",{"group":"g"}]', progress: '{"n":1}', next_at: null, kept: true }])
  })

  it('are written with an ignored outcome', async () => {
    await broker.publish([message('a')])
    await consume(broker, (delivery, consumer) =>
      consumer.finish(delivery, null, { effects: idOf(delivery) === 'a' ? { plan: planOf(message('b')) } : undefined }),
    )
    await eventually(
      'all is quiet',
      async () => (await ids('outbox')).length === 0 && (await broker.depths(['celery']))[0]?.running === 0,
    )
    expect((await fixture.recorded()).size).toBe(0)
  })

  it.each(['later', 'at the same time'])(
    'are not written when another outcome wins and their own outcome arrives %s',
    async (when) => {
      await broker.publish([message('same'), message('same')])
      const { consumer, got, of } = await consume(broker)
      await until('both delivered', () => got.length === 2)
      consumer.finish(got[0]!, outcome(got[0]!), { effects: { plan: planOf(message('first')) } })
      if (when === 'later') await consumer.flush()
      const effects: Effects = {
        plan: planOf(message('second')),
        retry: { message: message('third'), dueAt: new Date() },
        unreachable: [{ id: 'fourth', task: 't', countsForChord: false }],
        logs: [{ level: 30, at: 0, message: 'lost', fields: null }],
        deadLetter: { message: message('same'), reason: 'lost' },
      }
      consumer.finish(got[1]!, outcome(got[1]!, 'FAILURE', boom), { effects })
      await consumer.flush()
      await eventually('the first step is there', () => of('first').length === 1)
      expect(got.map(idOf)).toEqual(['same', 'same', 'first'])
      expect(await fixture.recorded()).toEqual(new Map([['same', 'SUCCESS']]))
      expect(await ids('outbox')).toEqual([])
      expect(await ids('task_log')).toEqual([])
      expect(await fixture.deadLetters()).toBe(0)
    },
  )

  it('are written once for each stored outcome when the worker is killed at any moment', async () => {
    const total = 100
    const firsts = Array.from({ length: total }, (_, index) => `a${index}`)
    const next = (delivery: Delivery) =>
      idOf(delivery).startsWith('a') ? { plan: planOf(message(`b${idOf(delivery)}`)) } : undefined
    const doomed = await open()
    await broker.publish(firsts.map((id) => message(id)))
    const runFirsts: Run = (delivery, consumer) => {
      if (idOf(delivery).startsWith('a')) setImmediate(() => finishAs(next)(delivery, consumer))
    }
    await consume(doomed, runFirsts, false)
    await until('some are recorded', async () => (await fixture.recorded()).size >= 5)
    brokers.delete(doomed)
    await fixture.cut(doomed)
    const { got } = await consume(broker, finishAs(next))
    await eventually('all have ended', async () => (await fixture.recorded()).size === 2 * total)
    const steps = got.map(idOf).filter((id) => id.startsWith('b'))
    expect(steps.toSorted()).toEqual(firsts.map((id) => `b${id}`).toSorted())
  })

  it('keep the next attempt until it is due, and replace an older attempt', async () => {
    const dueAt = new Date(Date.now() + 3_600_000)
    const attempt = (retries: number) => message('a', { headers: { retries } })
    await broker.publish([attempt(0), attempt(1)])
    const { consumer, got } = await consume(broker)
    await until('both delivered', () => got.length === 2)
    const finish = async (retries: number, due: Date) => {
      const delivery = got.find((each) => retriesOf(each) === retries)!
      const effects = { retry: { message: attempt(retries + 1), dueAt: due }, extra: { nextAt: due, ttlSeconds: 5 } }
      consumer.finish(delivery, outcome(delivery, 'RETRY', boom), { effects })
      await consumer.flush()
    }
    await finish(0, dueAt)
    expect(await rows('SELECT task_id, due_at, headers FROM {schema}.outbox')).toEqual([
      { task_id: 'a', due_at: dueAt, headers: '{"retries":1}' },
    ])
    expect(await rows('SELECT state, retries, next_at, expires_at FROM {schema}.task_result')).toEqual([
      { state: 'RETRY', retries: 0, next_at: dueAt, expires_at: null },
    ])
    await finish(1, new Date())
    expect(await rows('SELECT task_id, headers FROM {schema}.outbox')).toEqual([{ task_id: 'a', headers: '{"retries":2}' }])
    await eventually('the third attempt is here', () => got.length === 3)
    expect(retriesOf(got[2]!)).toBe(2)
    expect(await ids('outbox')).toEqual([])
  })

  it('release the key of a unique task when its outcome is final', async () => {
    await rows(`INSERT INTO {schema}.unique_task (key, task_id, expires_at) VALUES ('k', 'a', now() + interval '1 hour')`)
    const dueAt = new Date(Date.now() + 3_600_000)
    await broker.publish([message('a'), message('a', { headers: { retries: 1 } })])
    const { consumer, got } = await consume(broker)
    await until('both delivered', () => got.length === 2)
    consumer.finish(got[0]!, outcome(got[0]!, 'RETRY', boom), {
      effects: { releasesUnique: true, retry: { message: message('a'), dueAt } },
    })
    await consumer.flush()
    expect(await ids('unique_task')).toEqual(['a'])
    consumer.finish(got[1]!, outcome(got[1]!), { effects: { releasesUnique: true } })
    await consumer.flush()
    expect(await ids('unique_task')).toEqual([])
  })

  it('keep a message as a dead letter with its priority', async () => {
    const sent = message('a', { priority: 7, headers: { custom: 1 } })
    await broker.publish([sent])
    const { consumer, got } = await consume(broker, (delivery, on) =>
      on.finish(delivery, outcome(delivery, 'FAILURE', boom), { effects: { deadLetter: { message: sent, reason: 'why' } } }),
    )
    await until('delivered', () => got.length === 1)
    await consumer.flush()
    expect(await rows('SELECT task_id, task, queue, priority, reason, body FROM {schema}.dead_letter')).toEqual([
      { task_id: 'a', task: 'tasks.echo', queue: 'celery', priority: 7, reason: 'why', body: sent.body },
    ])
  })

  it('delay neither their own outcome nor other outcomes when the database refuses the effects', async () => {
    const bad: Effects = { plan: { messages: [], chords: [], groups: [{ id: 'x'.repeat(300), members: [] }] } }
    await broker.publish([message('good'), message('bad'), message('unkept')])
    const { consumer, got } = await consume(broker)
    await until('delivered', () => got.length === 3)
    for (const delivery of got) {
      const effects = idOf(delivery) === 'good' ? { plan: planOf(message('next')) } : bad
      consumer.finish(delivery, idOf(delivery) === 'unkept' ? null : outcome(delivery), { effects })
    }
    await consumer.flush()
    await eventually('the next step is here', () => got.length === 4)
    expect(await fixture.recorded()).toEqual(
      new Map([
        ['good', 'SUCCESS'],
        ['bad', 'FAILURE'],
      ]),
    )
  })

  describe('chords', () => {
    const members = Array.from({ length: 100 }, (_, index) => `m${index}`)

    it('send their body once, with the results in order, when two workers ran the members', async () => {
      await send(chordOf(members, signature('tasks.sum', 'body')))
      const values: unknown[] = []
      const run: Run = (delivery, consumer) => {
        if (idOf(delivery) === 'body') values.push(decodeBody(delivery.message.body).args)
        const result = idOf(delivery).startsWith('m') ? idOf(delivery).slice(1) : 'null'
        const effects = { countsForChord: idOf(delivery) !== 'body' }
        setImmediate(() => consumer.finish(delivery, outcome(delivery, 'SUCCESS', result), { effects }))
      }
      const first = await consume(broker, run)
      const second = await consume(await open(), run)
      await eventually('the body has ended', async () => (await state('body')) === 'SUCCESS')
      expect(values).toEqual([[members.map((_, index) => index)]])
      const [body] = [...first.of('body'), ...second.of('body')]
      expect(body?.message.headers).toMatchObject({ root_id: 'root', parent_id: expect.stringMatching(/^m\d+$/) })
      expect(await rows('SELECT id FROM {schema}.chord')).toEqual([])
      expect(await ids('chord_member')).toEqual([])
    })

    it('give their body null for a member whose result is ignored', async () => {
      await send(chordOf(['m0', 'm1'], signature('tasks.sum', 'body')))
      const { of } = await consume(broker, (delivery, consumer) => {
        const kept = idOf(delivery) === 'm0' ? null : outcome(delivery, 'SUCCESS', '7')
        consumer.finish(delivery, kept, { effects: { countsForChord: true } })
      })
      await eventually('the body is here', () => of('body').length === 1)
      expect(decodeBody(of('body')[0]!.message.body).args).toEqual([[null, 7]])
    })

    it.each<[State, string, string]>([
      ['FAILURE', boom, `Dependency m1 raised ValueError("it's no")`],
      [
        'REVOKED',
        '{"exc_type":"TaskRevokedError","exc_message":["expired"],"exc_module":"celery.exceptions"}',
        "Dependency m1 raised TaskRevokedError('expired')",
      ],
    ])(
      'end at once when a member ends as %s: clients that wait for the body are notified, and its errbacks run',
      async (ended, result, said) => {
        const errback = signature('tasks.onError', 'errback')
        await send(chordOf(['m0', 'm1', 'm2'], signature('tasks.sum', 'body', { link_error: [errback] })))
        const { consumer, got, of } = await consume(broker)
        await eventually('all delivered', () => got.length === 3)
        const finish = (id: string, as: State, value: string) =>
          consumer.finish(of(id)[0]!, outcome(of(id)[0]!, as, value), { effects: { countsForChord: true } })
        finish('m1', ended, result)
        await consumer.flush()
        expect(await rows(`SELECT state, result FROM {schema}.task_result WHERE id = 'body'`)).toEqual([
          {
            state: 'FAILURE',
            result: JSON.stringify({ exc_type: 'ChordError', exc_message: [said], exc_module: 'celery.exceptions' }),
          },
        ])
        finish('m0', 'SUCCESS', '0')
        finish('m2', 'FAILURE', boom)
        await consumer.flush()
        await eventually('the errback is here', () => of('errback').length === 1)
        expect(decodeBody(of('errback')[0]!.message.body).args).toEqual(['body'])
        expect(got).toHaveLength(4)
        expect(await rows('SELECT id FROM {schema}.chord')).toEqual([])
        expect(await ids('chord_member')).toEqual([])
      },
    )

    it('end when a chain in the header fails, and also end an outer chord that has their body as a member', async () => {
      const outer = chordOf(['inner', 'other'], signature('tasks.outer', 'outer body'))
      const inner = chordOf(
        ['chain end', 'm'],
        signature('tasks.inner', 'inner', { chord: signature('tasks.outer', 'outer body') }),
      )
      await send({ messages: [message('chain begin')], chords: [...outer.chords, ...inner.chords], groups: [] })
      await consume(broker, (delivery, consumer) => {
        const unreachable = [
          { id: 'chain middle', task: 'middle', countsForChord: false },
          { id: 'chain end', task: 'end', countsForChord: true },
        ]
        consumer.finish(delivery, outcome(delivery, 'FAILURE', boom), { effects: { unreachable } })
      })
      await eventually('all have ended', async () => (await fixture.recorded()).size === 5)
      const all = await rows(`SELECT id, task, result FROM {schema}.task_result ORDER BY id`)
      const chordError = (id: string, raised: string) =>
        JSON.stringify({
          exc_type: 'ChordError',
          exc_message: [`Dependency ${id} raised ${raised}`],
          exc_module: 'celery.exceptions',
        })
      expect(all).toEqual([
        { id: 'chain begin', task: 'tasks.echo', result: boom },
        { id: 'chain end', task: 'end', result: boom },
        { id: 'chain middle', task: 'middle', result: boom },
        { id: 'inner', task: 'tasks.inner', result: chordError('chain end', `ValueError("it's no")`) },
        {
          id: 'outer body',
          task: 'tasks.outer',
          result: chordError('inner', `ChordError('Dependency chain end raised ValueError("it\\'s no")')`),
        },
      ])
      expect(await rows('SELECT id FROM {schema}.chord')).toEqual([])
    })

    it('end as FAILURE when their body cannot be sent, while the last member keeps its outcome', async () => {
      const broken = { ...signature('tasks.sum', 'body'), subtask_type: 'chain', kwargs: { tasks: 7 } }
      await send(chordOf(['m0'], broken))
      const { consumer, got } = await consume(
        broker,
        finishAs(() => ({ countsForChord: true })),
      )
      await eventually('delivered', () => got.length === 1)
      await consumer.flush()
      expect(await state('m0')).toBe('SUCCESS')
      expect(await rows('SELECT id FROM {schema}.chord')).toEqual([])
    })
  })

  describe('a workflow', () => {
    it('with one message is published at once', async () => {
      await send(planOf(message('a')))
      expect(await broker.depths(['celery'])).toEqual([{ queue: 'celery', ready: 1, running: 0 }])
    })

    it('is started completely or not at all', async () => {
      const plan = chordOf(['m0', 'm1'], signature('tasks.sum', 'body'))
      const refused = { ...plan, messages: [...plan.messages, message('x', { queue: 'q'.repeat(10), priority: 70_000 })] }
      await expect(send(refused)).rejects.toThrow(/smallint out of range/)
      expect(await rows('SELECT id FROM {schema}.chord UNION ALL SELECT id FROM {schema}.task_group')).toEqual([])
      expect(await ids('outbox')).toEqual([])
      await send(plan)
      const { got } = await consume(broker)
      await eventually('both delivered', () => got.length === 2)
    })

    it('that is sent in a transaction of the caller starts only if the transaction commits', async () => {
      const plan = chordOf(['m0', 'm1'], signature('tasks.sum', 'body'))
      const tables =
        'SELECT id FROM {schema}.chord UNION ALL SELECT task_id FROM {schema}.chord_member UNION ALL SELECT task_id FROM {schema}.outbox'
      const transaction = new Client({ connectionString: inject('databaseUrl') })
      await transaction.connect()
      for (const [end, count] of [
        ['ROLLBACK', 0],
        ['COMMIT', 5],
      ] as const) {
        await transaction.query('BEGIN')
        await sendPlan({ database: fixture.database, broker }, plan, transaction)
        await transaction.query(end)
        expect(await rows(tables)).toHaveLength(count)
      }
      await transaction.end()
    })
  })

  describe('a message with an early acknowledgement', () => {
    it('is lost when its worker dies', async () => {
      const doomed = await open()
      await broker.publish([message('a')])
      const { consumer, got } = await consume(doomed, undefined, false)
      await until('delivered', () => got.length === 1)
      expect(await consumer.acknowledge(got[0]!)).toBe(true)
      brokers.delete(doomed)
      await fixture.cut(doomed)
      await broker.publish([message('b')])
      const second = await consume(
        broker,
        finishAs(() => undefined),
      )
      await eventually('the other one has ended', async () => (await state('b')) === 'SUCCESS')
      expect(second.got.map(idOf)).toEqual(['b'])
      expect(await broker.depths(['celery'])).toMatchObject([{ ready: 0 }])
    })

    it.each([true, false])('has its effects and its outcome stored (outcome not ignored: %s)', async (kept) => {
      await broker.publish([message('a')])
      const { consumer, got, of } = await consume(broker)
      await until('delivered', () => got.length === 1)
      await consumer.acknowledge(got[0]!)
      consumer.started(got[0]!, { ...outcome(got[0]!, 'STARTED'), doneAt: null, result: null })
      consumer.finish(got[0]!, kept ? outcome(got[0]!) : null, { effects: { plan: planOf(message('b')) } })
      await consumer.flush()
      await eventually('the next step is here', () => of('b').length === 1)
      expect(await state('a')).toBe(kept ? 'SUCCESS' : 'STARTED')
      expect(await broker.depths(['celery'])).toMatchObject([{ ready: 0, running: 1 }])
    })

    it('is not delivered again after a requeue', async () => {
      await broker.publish([message('a')])
      const { consumer, got } = await consume(broker)
      await until('delivered', () => got.length === 1)
      await consumer.acknowledge(got[0]!)
      consumer.requeue(got[0]!, { counted: false })
      await consumer.flush()
      expect(await broker.depths(['celery'])).toEqual([{ queue: 'celery', ready: 0, running: 0 }])
    })

    it.runIf(isOutside)(
      'does not run if the acknowledgement is in doubt, and runs in another worker if the broker still has the message',
      async () => {
        const doomed = await open()
        await broker.publish([message('a')])
        const { consumer, got } = await consume(doomed, undefined, false)
        await until('delivered', () => got.length === 1)
        fixture.shut!(doomed)
        const gone = consumer.acknowledge(got[0]!)
        const { got: elsewhere } = await consume(broker)
        brokers.delete(doomed)
        await fixture.cut(doomed)
        expect(await gone).toBe(false)
        await until('runs elsewhere', () => elsewhere.length === 1)
      },
    )

    it('does not run if another worker holds it', async () => {
      await broker.publish([message('a')])
      const { consumer, got } = await consume(broker)
      await until('delivered', () => got.length === 1)
      consumer.requeue(got[0]!, { counted: false })
      expect(await consumer.acknowledge(got[0]!)).toBe(false)
      await until('here again', () => got.length === 2)
    })
  })

  it.runIf(isOutside)('are kept, and a redelivered attempt whose outcome is stored is acknowledged without running', async () => {
    const doomed = await open()
    const dueAt = new Date(Date.now() + 3_600_000)
    await broker.publish([message('a'), message('b', { headers: { retries: 1 } }), message('c', { headers: { retries: 2 } })])
    const { consumer, got, of } = await consume(doomed, undefined, false)
    await until('delivered', () => got.length === 3)
    // The worker is killed between the commit and the acknowledgement.
    fixture.shut!(doomed)
    const [a, b, c] = ['a', 'b', 'c'].map((id) => of(id)[0]!) as [Delivery, Delivery, Delivery]
    const next = message('a', { headers: { retries: 1 } })
    consumer.finish(a, outcome(a, 'RETRY', boom), { effects: { retry: { message: next, dueAt } } })
    consumer.started(b, { ...outcome(b, 'STARTED'), retries: 2, doneAt: null })
    consumer.started(c, { ...outcome(c, 'STARTED'), retries: 2, doneAt: null })
    await until('recorded', async () => (await fixture.recorded()).size === 3)
    brokers.delete(doomed)
    await fixture.cut(doomed)
    const second = await consume(
      broker,
      finishAs(() => undefined),
    )
    await until('the current attempt has ended', async () => (await state('c')) === 'SUCCESS')
    await until('nothing is left', async () => {
      const [depth] = await broker.depths(['celery'])
      return depth?.ready === 0 && depth.running === 0
    })
    expect(second.got.map(idOf)).toEqual(['c'])
    expect(await state('a')).toBe('RETRY')
    expect(await rows('SELECT task_id, due_at FROM {schema}.outbox')).toEqual([{ task_id: 'a', due_at: dueAt }])
  })
})
