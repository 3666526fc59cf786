import { describe, expect, it } from 'vitest'
import { createRegistry } from '../../../src/app/app.ts'
import type { Effects } from '../../../src/app/effects.ts'
import type { Outcome } from '../../../src/app/outcome.ts'
import type { TaskContext } from '../../../src/app/task-context.ts'
import { Ignore } from '../../../src/app/task-errors.ts'
import type { Consumer, Delivery } from '../../../src/broker/broker.ts'
import { silentLog } from '../../../src/log.ts'
import { createMessage, type Message } from '../../../src/message/message.ts'
import type { WireRefusal } from '../../../src/message/wire.ts'
import { createAttempt } from '../../../src/worker/attempt/attempt.ts'
import { Shutdown } from '../../../src/worker/attempt/interruptions.ts'
import { createExecutor, type ExecutorOptions } from '../../../src/worker/executor.ts'

const app = createRegistry(() => Promise.reject(new Error('no connections')))
app.task('echo', (value: unknown) => value)
app.task('nothing', () => {})
app.task('fail', () => {
  throw new RangeError('too far')
})
app.task('fail.custom', () => {
  throw Object.assign(new Error('no funds'), { name: 'PaymentError' })
})
app.task('throw.text', () => Promise.reject('just a text'))
app.task('fail.hidden', () => {
  throw new Proxy(new Error('x'), {
    getPrototypeOf: () => {
      throw new Error('not to be looked at')
    },
  })
})
app.task('nul', () => {
  throw new Error('a\0b')
})
app.task('date', () => new Date())
app.task('kwargs', (...args: unknown[]) => args)
app.task(
  'bound',
  (context: TaskContext, x: unknown) => [context.id, context.task, context.queue, context.retries, context.rootId, x],
  { bind: true },
)
app.task('slow', () => new Promise((resolve) => setTimeout(resolve, 150, 'late')))
app.task('ignored', () => 1, { ignoreResult: true })
app.task('ignored.fail', () => Promise.reject(new Error('x')), { ignoreResult: true })
app.task(
  'obedient',
  (context: TaskContext) =>
    new Promise((_resolve, reject) => context.signal.addEventListener('abort', () => reject(context.signal.reason))),
  { bind: true },
)

type Report = {
  outcome?: Outcome | null
  rejected?: boolean
  started?: Outcome
  requeued?: boolean
  counted?: boolean
  acknowledged?: boolean
  effects?: Effects
  deadLetter?: string
}

/** Runs one message and returns the calls that its consumer got. */
async function execute(
  message: Message,
  options: Partial<ExecutorOptions> & { deliveries?: number; abort?: Error; refused?: WireRefusal } = {},
): Promise<Report> {
  const report: Report = {}
  const consumer = {
    finish: (_delivery: Delivery, outcome: Outcome | null, how: object = {}) => Object.assign(report, { outcome, ...how }),
    acknowledge: async () => Object.assign(report, { acknowledged: true }) !== undefined,
    started: (_delivery: Delivery, started: Outcome) => Object.assign(report, { started }),
    requeue: (_delivery: Delivery, how: object) => Object.assign(report, { requeued: true, ...how }),
    deadLetter: (_delivery: Delivery, { reason }: { reason: string }) => Object.assign(report, { deadLetter: reason }),
  } as unknown as Consumer
  const { deliveries = 1, refused, abort, ...parts } = options
  const executor = createExecutor({ app, log: silentLog(), maxDeliveries: 3, ...parts }, () => consumer)
  const delivery: Delivery = { message, deliveries, tag: '1', refused }
  await new Promise<void>((resolve) => {
    const attempt = createAttempt(delivery, () => resolve())
    executor.execute(attempt)
    if (abort !== undefined) attempt.controller.abort(abort)
  })
  return report
}

const message = (task: string, args: unknown[] = [], options: object = {}) =>
  createMessage({ id: 'id-1', task, args, ...options })
const resultOf = ({ outcome }: Report) => JSON.parse(outcome?.result ?? 'null')

describe('the executor', () => {
  it('stores SUCCESS with the value of the task', async () => {
    const report = await execute(message('echo', [{ a: [1, 'ü'] }]))
    expect(report.outcome).toMatchObject({
      id: 'id-1',
      task: 'echo',
      state: 'SUCCESS',
      queue: 'celery',
      retries: 0,
      traceback: null,
    })
    expect(resultOf(report)).toEqual({ a: [1, 'ü'] })
    expect(report.outcome!.doneAt).toBeGreaterThanOrEqual(report.outcome!.startedAt!)
    expect(report.started).toBeUndefined()
  })

  it('stores null for a task that returns no value', async () =>
    expect((await execute(message('nothing'))).outcome).toMatchObject({ state: 'SUCCESS', result: 'null' }))

  it('stores STARTED for a task that runs longer than 100 ms', async () => {
    const report = await execute(message('slow'))
    expect(report.started).toMatchObject({ state: 'STARTED', doneAt: null })
    expect(resultOf(report)).toBe('late')
  })

  it.each([
    [
      'an error with the name of a builtin Python exception',
      'fail',
      { exc_type: 'ValueError', exc_message: ['too far'], exc_module: 'builtins' },
    ],
    [
      'an error with a name that Python does not have',
      'fail.custom',
      { exc_type: 'PaymentError', exc_message: ['no funds'], exc_module: 'onedyno.errors' },
    ],
    ['a thrown string', 'throw.text', { exc_type: 'Exception', exc_message: ['just a text'], exc_module: 'builtins' }],
    [
      'a value that throws when it is read',
      'fail.hidden',
      { exc_type: 'Exception', exc_message: ['something was thrown that cannot be shown'], exc_module: 'builtins' },
    ],
    [
      'a result that is not JSON',
      'date',
      {
        exc_type: 'EncodeError',
        exc_message: ['result is a Date, not a plain object: pass its JSON form instead'],
        exc_module: 'kombu.exceptions',
      },
    ],
    [
      'a task that is not registered',
      'nobody.knows',
      { exc_type: 'NotRegistered', exc_message: ['nobody.knows'], exc_module: 'celery.exceptions' },
    ],
  ])('stores FAILURE for %s', async (_name, task, result) => {
    const report = await execute(message(task))
    expect(report.outcome!.state).toBe('FAILURE')
    expect(resultOf(report)).toEqual(result)
  })

  it('removes NUL characters from a stack', async () => {
    const { outcome } = await execute(message('nul'))
    expect(outcome!.traceback).toContain('executor.test.ts')
    expect(outcome!.traceback).not.toContain('\0')
  })

  it.each([
    ['not JSON', 'hello'],
    ['not a list of three elements', '[[],{}]'],
    ['empty', ''],
  ])('stores FAILURE for a body that is %s', async (_name, body) => {
    const report = await execute({ ...message('echo'), body })
    expect(report.outcome!.state).toBe('FAILURE')
    expect(resultOf(report)).toMatchObject({ exc_type: 'InvalidTaskError', exc_module: 'celery.exceptions' })
  })

  it('stores REVOKED for an expired message, without running the task', async () => {
    const report = await execute(message('echo', [1], { expires: new Date(Date.now() - 1) }))
    expect(report.outcome).toMatchObject({ state: 'REVOKED', startedAt: null })
    expect(resultOf(report)).toEqual({ exc_type: 'TaskRevokedError', exc_message: ['expired'], exc_module: 'celery.exceptions' })
  })

  it('stores FAILURE for a message whose workers died too often, without running the task', async () => {
    expect((await execute(message('echo'), { deliveries: 3 })).outcome!.state).toBe('SUCCESS')
    const report = await execute(message('echo'), { deliveries: 4 })
    expect(resultOf(report)).toEqual({
      exc_type: 'WorkerLostError',
      exc_message: ['ended its worker 3 times, not run again'],
      exc_module: 'billiard.exceptions',
    })
  })

  it('keeps a message without a usable id as a dead letter', async () => {
    expect(await execute(createMessage({ id: '', task: 'echo', args: [] }))).toEqual({ deadLetter: 'no usable id' })
    expect(await execute(createMessage({ id: 'x'.repeat(256), task: 'echo', args: [] }))).toEqual({ deadLetter: 'no usable id' })
  })

  it('stores no result if the task or the caller ignores it, unless the task fails', async () => {
    expect((await execute(message('ignored'))).outcome).toBeNull()
    expect((await execute(message('echo', [1], { headers: { ignore_result: true } }))).outcome).toBeNull()
    expect((await execute(message('ignored', [], { headers: { ignore_result: false } }))).outcome!.state).toBe('SUCCESS')
    expect((await execute(message('ignored.fail'))).outcome!.state).toBe('FAILURE')
  })

  it('requeues a task that stops because its worker stops', async () => {
    expect(await execute(message('obedient'), { abort: new Shutdown() })).toEqual({ requeued: true, counted: false })
  })
})

describe('the arguments of a task', () => {
  it('are followed by one object with the keyword arguments of the message', async () =>
    expect(resultOf(await execute(message('kwargs', [1], { kwargs: { k: 2 } })))).toEqual([1, { k: 2 }]))
  it('are only the positional arguments if the message has no keyword arguments', async () =>
    expect(resultOf(await execute(message('kwargs', [1])))).toEqual([1]))
  it('begin with the context of the task if the task is bound', async () =>
    expect(resultOf(await execute(message('bound', ['x'], { queue: 'q', headers: { retries: 2, root_id: 'r' } })))).toEqual([
      'id-1',
      'bound',
      'q',
      2,
      'r',
      'x',
    ]))
})

describe('a message that cannot be run', () => {
  it('is rejected, and the reason that the decoder gave is stored', async () => {
    const refused: WireRefusal = { name: 'ContentDisallowed', message: 'Refusing to deserialize untrusted content' }
    const report = await execute(message('echo'), { refused })
    expect(report).toMatchObject({ outcome: { state: 'FAILURE' }, rejected: true })
    expect(resultOf(report)).toEqual({
      exc_type: 'ContentDisallowed',
      exc_message: ['Refusing to deserialize untrusted content'],
      exc_module: 'kombu.exceptions',
    })
  })

  it.each([
    ['the eta is not a time', { eta: 'tomorrow' }, 'invalid ETA value "tomorrow"'],
    ['the eta is a number', { eta: 5 }, 'invalid ETA value 5'],
    ['the expiry is a number', { expires: 12345 }, 'invalid expires value 12345'],
  ])('is stored as FAILURE when %s', async (_name, headers, words) => {
    const report = await execute(message('echo', [1], { headers }))
    expect(resultOf(report)).toMatchObject({ exc_type: 'InvalidTaskError', exc_message: [words] })
  })
})

describe('a message with an eta', () => {
  const early = message('echo', [1], { eta: new Date(Date.now() + 60_000) })

  it('is parked until its eta and acknowledged without an outcome', async () => {
    const parked: { message: Message; dueAt: Date }[] = []
    const report = await execute(early, { park: async (message, dueAt) => void parked.push({ message, dueAt }) })
    expect(report).toEqual({ outcome: null })
    expect(parked[0]?.dueAt.toISOString()).toBe(early.headers.eta)
    // The message comes back by the clock of the database. It runs even if the clock of this worker is behind.
    const again = await execute(parked[0]!.message, { park: () => Promise.reject(new Error('parked twice')) })
    expect(again.outcome?.state).toBe('SUCCESS')
  })

  it('is requeued when it cannot be parked', async () => {
    expect(await execute(early, { park: () => Promise.reject(new Error('away')) })).toEqual({ requeued: true, counted: false })
  })

  it('runs at once if its eta, written without a time zone, has passed', async () => {
    const report = await execute(message('echo', [1], { headers: { eta: '2020-01-01T00:00:00' } }), {
      park: () => Promise.reject(),
    })
    expect(report.outcome?.state).toBe('SUCCESS')
  })
})

describe('the effects of an outcome', () => {
  const signature = (task: string, id: string) => ({
    task,
    args: [],
    kwargs: {},
    options: { task_id: id },
    subtask_type: null,
    immutable: false,
  })
  const embed = { chain: [signature('last', 'id-3'), signature('next', 'id-2')], errbacks: [signature('errback', 'id-e')] }
  const tasksOf = ({ effects }: Report) => effects?.plan?.messages.map(({ headers }) => headers.task)
  const unreachableOf = ({ effects }: Report) => effects?.unreachable?.map(({ id }) => id)

  it('are absent for a plain task', async () => {
    const report = await execute(message('echo', [1]))
    expect(Object.keys(report)).toEqual(['outcome'])
  })

  it('contain the next step of a chain, with the value as its first argument', async () => {
    const report = await execute(message('echo', ['v'], { embed }))
    expect(tasksOf(report)).toEqual(['next'])
    expect(report.effects!.plan!.messages[0]!.body).toMatch(/^\[\["v"\]/)
    expect(unreachableOf(report)).toBeUndefined()
  })

  it.each<[what: string, task: string, options: object, more: object]>([
    ['fails', 'fail', {}, {}],
    ['is not registered', 'nobody.knows', {}, {}],
    ['has expired', 'echo', { expires: new Date(Date.now() - 1) }, {}],
    ['is revoked', 'echo', {}, { isRevoked: () => true }],
    ['killed its worker too often', 'echo', {}, { deliveries: 4 }],
  ])('contain the errback and an outcome for the rest of the chain when the task %s', async (_what, task, options, more) => {
    const report = await execute(message(task, [], { embed, ...options }), more)
    expect(tasksOf(report)).toEqual(['errback'])
    expect(unreachableOf(report)).toEqual(['id-2', 'id-3'])
  })

  it('contain no next step while the task is retried', async () => {
    const again = createRegistry(() => Promise.reject(new Error('no connections')))
    again.task('again', () => Promise.reject(new Error('x')), { autoretryFor: [Error] })
    const report = await execute(message('again', [], { embed }), { app: again })
    expect(report.outcome).toMatchObject({ state: 'RETRY', doneAt: null })
    expect(report.effects).toMatchObject({
      plan: undefined,
      unreachable: undefined,
      retry: { message: { headers: { retries: 1 } } },
    })
    expect(report.effects!.extra!.nextAt).toEqual(report.effects!.retry!.dueAt)
  })

  it.each<[what: string, task: string, more: object, reason: string | undefined]>([
    ['contain a dead letter for a message whose task is unknown', 'nobody.knows', {}, 'NotRegistered: nobody.knows'],
    [
      'contain a dead letter for a message that killed its worker too often',
      'echo',
      { deliveries: 4 },
      'WorkerLostError: ended its worker 3 times, not run again',
    ],
    ['contain no dead letter for a message that is revoked', 'echo', { isRevoked: () => true }, undefined],
    ['contain no dead letter for a message whose task fails', 'fail', {}, undefined],
  ])('%s', async (_what, task, more, reason) => {
    const { effects } = await execute(message(task), more)
    expect(effects?.deadLetter?.reason).toBe(reason)
  })

  it('release the key of a unique task unless the task is retried', async () => {
    const headers = { onedyno_unique: 'end' }
    const once = createRegistry(() => Promise.reject(new Error('no connections')))
    once.task('ignoring', () => Promise.reject(new Ignore()))
    once.task('again', ({ retry }: TaskContext) => retry(), { bind: true })
    expect((await execute(message('ignoring', [], { headers }), { app: once })).effects).toMatchObject({ releasesUnique: true })
    expect((await execute(message('again', [], { headers }), { app: once })).effects?.releasesUnique).toBeUndefined()
    expect((await execute(message('echo', [], { headers }))).effects).toMatchObject({ releasesUnique: true })
    expect((await execute(message('fail', [], { headers }))).effects).toMatchObject({ releasesUnique: true })
  })

  it('contain the parent and the root of the task', async () => {
    const family = { parent_id: 'parent', root_id: 'root' }
    expect((await execute(message('echo', [], { headers: family }))).effects?.extra).toMatchObject({
      parentId: 'parent',
      rootId: 'root',
    })
    expect((await execute(message('echo', [], { headers: { parent_id: 'id-1', root_id: 'id-1' } }))).effects).toBeUndefined()
  })
})

describe('a task with a rate limit', () => {
  const parked: Message[] = []
  const park = async (kept: Message) => void parked.push(kept)
  const dueAt = new Date(Date.now() + 60_000)

  it.each([
    ['at once', () => dueAt],
    ['after the database has answered', async () => dueAt],
  ])('is parked in the outbox until its permit, which is known %s', async (_what, admit) => {
    parked.length = 0
    const report = await execute(message('echo'), { park, limiter: { admit, set() {} } })
    expect(report).toEqual({ outcome: null })
    const eta = dueAt.toISOString()
    expect(parked[0]!.headers).toMatchObject({ eta, onedyno_parked: eta, onedyno_placed: 0 })
  })

  it.each([
    ['it has a permit', async () => undefined],
    ['the request for its permit fails', () => Promise.reject(new Error('away'))],
  ])('runs when %s', async (_what, admit) => {
    expect((await execute(message('echo'), { park, limiter: { admit, set() {} } })).outcome?.state).toBe('SUCCESS')
  })
})

describe('a task with early acknowledgement', () => {
  const early = createRegistry(() => Promise.reject(new Error('no connections')))
  early.task('early', () => 'ran', { acks: 'early' })

  it('is acknowledged before it runs', async () =>
    expect(await execute(message('early'), { app: early })).toMatchObject({ acknowledged: true, outcome: { state: 'SUCCESS' } }))
})
