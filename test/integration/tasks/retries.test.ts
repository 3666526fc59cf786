import { expect, it } from 'vitest'
import type { TaskContext } from '../../../src/app/task-context.ts'
import type { RetryPolicy } from '../../../src/app/task-options.ts'
import { createMessage } from '../../../src/message/message.ts'
import { onEveryBroker } from '../../support/task-worker.ts'
import { until } from '../../support/until.ts'

class Flaky extends Error {
  override readonly name = 'Flaky'
}
class Hopeless extends Flaky {}

onEveryBroker('a retry', (at) => {
  const failing = (policy: RetryPolicy, error: () => unknown = () => new Flaky('not now')) => {
    const attempts: number[] = []
    const task = at.app.task(
      'failing',
      (context: TaskContext) => {
        attempts.push(context.attempt)
        throw error()
      },
      { bind: true, retryDelay: 0, ...policy },
    )
    return { task, attempts }
  }

  it('runs with the same id, arguments and headers, and its retry count is one higher', async () => {
    const seen: unknown[] = []
    const task = at.app.task(
      'again',
      (context: TaskContext, ...args: unknown[]) => {
        const { id, retries, attempt, kwargs, headers, parentId, rootId, queue } = context
        seen.push({ id, retries, attempt, kwargs, args, mine: headers.mine, parentId, rootId, queue })
        if (retries < 2) context.retry({ countdown: 0 })
        return 'third time'
      },
      { bind: true },
    )
    await at.work()
    const { id } = await task.applyAsync(['x', [1]], { kwargs: { k: 'v' }, headers: { mine: 'yes' }, priority: 3 })
    expect(await at.ended(id)).toMatchObject({ state: 'SUCCESS', result: 'third time', retries: 2 })
    const same = {
      id,
      kwargs: { k: 'v' },
      args: ['x', [1], { k: 'v' }],
      mine: 'yes',
      parentId: undefined,
      rootId: id,
      queue: 'celery',
    }
    expect(seen).toEqual([0, 1, 2].map((retries) => ({ ...same, retries, attempt: retries + 1 })))
    expect(await at.rows('SELECT FROM $outbox')).toEqual([])
  })

  it('waits in the outbox, and the stored outcome of its task has the reason and the due time', async () => {
    const { task } = failing({ autoretryFor: [Flaky], retryDelay: 3600 })
    const worker = await at.work()
    const { id } = await task.delay()
    await until('RETRY', async () => (await task.asyncResult(id).state()) === 'RETRY')
    const [row] = await at.rows(
      `SELECT result, traceback, retries, done_at, extract(epoch FROM next_at - now())::int AS "wait" FROM $task_result`,
    )
    expect(JSON.parse(String(row!.result))).toEqual({ exc_type: 'Flaky', exc_message: ['not now'], exc_module: 'onedyno.errors' })
    expect(row).toMatchObject({ traceback: expect.stringContaining('retries.test.ts'), retries: 0, done_at: null })
    expect(row!.wait).toBeGreaterThan(3590)
    expect(await at.rows('SELECT task_id FROM $outbox')).toEqual([{ task_id: id }])
    await until('the slot is free', () => worker.running === 0)
    expect((await at.broker.depths(['celery']))[0]).toMatchObject({ ready: 0, running: 0 })
  })

  it.each<[what: string, policy: RetryPolicy, error: () => unknown, attempts: number, excType: string]>([
    ['of a listed class', { autoretryFor: [Flaky], maxRetries: 2 }, () => new Flaky('x'), 3, 'Flaky'],
    ['of a subclass of a listed class', { autoretryFor: [Flaky], maxRetries: 1 }, () => new Hopeless('x'), 2, 'Flaky'],
    ['with a listed name', { autoretryFor: ['Flaky'], maxRetries: 1 }, () => new Flaky('x'), 2, 'Flaky'],
    [
      'with a listed code',
      { autoretryFor: ['ECONNRESET'], maxRetries: 1 },
      () => Object.assign(new Error('x'), { code: 'ECONNRESET' }),
      2,
      'Exception',
    ],
    ['that a function accepts', { autoretryFor: (error) => error === 'text', maxRetries: 1 }, () => 'text', 2, 'Exception'],
    ['of an unlisted class', { autoretryFor: [TypeError] }, () => new Flaky('x'), 1, 'Flaky'],
    ['of an excepted class', { autoretryFor: [Error], dontAutoretryFor: [Hopeless] }, () => new Hopeless('x'), 1, 'Flaky'],
    ['of a task without a policy', {}, () => new Flaky('x'), 1, 'Flaky'],
    [
      'after the end of retryUntil',
      { autoretryFor: [Error], retryUntil: new Date(Date.now() - 1) },
      () => new Flaky('x'),
      1,
      'Flaky',
    ],
    ['with maxRetries 0', { autoretryFor: [Error], maxRetries: 0 }, () => new Flaky('x'), 1, 'Flaky'],
  ])(
    'follows the retry policy of the task for an error %s, and the last error is stored',
    async (_what, policy, error, count, excType) => {
      const { task, attempts } = failing(policy, error)
      await at.work()
      const { id } = await task.delay()
      const stored = await at.ended(id)
      expect(stored).toMatchObject({ state: 'FAILURE', result: { exc_type: excType }, retries: count - 1 })
      expect(attempts).toEqual(Array.from({ length: count }, (_, index) => index + 1))
    },
  )

  it.each<[what: string, options: object, state: string, excType: string]>([
    ['no attempt left, no error given', { max: 0 }, 'FAILURE', 'MaxRetriesExceededError'],
    ['no attempt left, an error given', { max: 0, error: new Flaky('why') }, 'FAILURE', 'Flaky'],
    ['a countdown that is not a number', { countdown: Number.NaN }, 'FAILURE', 'TASK_OPTION_INVALID'],
    ['an attempt left, an error given', { max: 1, countdown: 3600, error: new Flaky('why') }, 'RETRY', 'Flaky'],
    ['an attempt left, no error given', { max: 1, eta: new Date(Date.now() + 3_600_000) }, 'RETRY', 'Retry'],
  ])(
    'that the task requests fails the task if no attempt is left or an option is invalid, and is stored otherwise: %s',
    async (_what, options, state, excType) => {
      const task = at.app.task('asking', (context: TaskContext) => context.retry(options), { bind: true })
      await at.work()
      const { id } = await task.delay()
      await until(state, async () => (await task.asyncResult(id).state()) === state)
      expect(await task.asyncResult(id).info()).toMatchObject({ result: { exc_type: excType } })
    },
  )

  it('is not made after retryUntil, which counts from the first attempt', async () => {
    const { task, attempts } = failing({ autoretryFor: [Flaky], maxRetries: null, retryUntil: 0.5, retryDelay: 0.2 })
    await at.work()
    const { id } = await task.delay()
    expect(await at.ended(id)).toMatchObject({ state: 'FAILURE', result: { exc_type: 'Flaky' } })
    expect(attempts.length).toBeGreaterThanOrEqual(2)
    expect(attempts.length).toBeLessThanOrEqual(3)
  })

  it('runs when it is due by the clock of the database, although the clock of the worker is behind', async () => {
    let runs = 0
    const task = at.app.task('late', (context: TaskContext) => (++runs === 1 ? context.retry({ countdown: 0.05 }) : 'ran'), {
      bind: true,
    })
    await at.work()
    const { id } = await task.delay()
    expect(await at.ended(id)).toMatchObject({ state: 'SUCCESS', result: 'ran' })
    expect(at.logged.filter(({ msg }) => String(msg).startsWith('task is not due yet'))).toEqual([])
  })

  it('of a message from Celery keeps the headers that onedyno does not read', async () => {
    const { task } = failing({ autoretryFor: [Flaky], retryDelay: 3600 })
    await at.work()
    const headers = {
      root_id: 'root',
      parent_id: 'parent',
      group: 'g',
      group_index: 2,
      shadow: 's',
      timelimit: [60, 50] as const,
    }
    const chain = [{ task: 'next', args: [], kwargs: {}, options: { task_id: 'n' }, subtask_type: null, immutable: false }]
    const properties = { reply_to: 'back', correlation_id: 'id-1' }
    const expires = new Date(Date.now() + 7_200_000)
    await at.broker.publish([
      createMessage({ id: 'id-1', task: task.name, args: [], headers, properties, expires, embed: { chain }, priority: 4 }),
    ])
    const rows = () => at.rows('SELECT queue, priority, headers::text, properties::text, body FROM $outbox')
    await until('kept', async () => (await rows()).length === 1)
    const [row] = await rows()
    const kept = JSON.parse(String(row!.headers))
    expect(kept).toMatchObject({
      ...headers,
      parent_id: 'id-1',
      retries: 1,
      expires: expires.toISOString(),
      eta: kept.onedyno_parked,
    })
    expect(row).toMatchObject({ queue: 'celery', body: JSON.stringify([[], {}, { chain }]) })
    expect(JSON.parse(String(row!.properties))).toMatchObject({ reply_to: 'back' })
    // RabbitMQ's queues here have no priorities.
    if (at.kind !== 'amqp') expect(row!.priority).toBe(4)
  })

  it('is reported to the observer of the worker with the state RETRY', async () => {
    const told: string[] = []
    const observer = {
      received() {},
      started() {},
      ended: (_delivery: unknown, { state }: { state: string }) => void told.push(state),
    }
    const { task } = failing({ autoretryFor: [Flaky], maxRetries: 1 })
    await at.work({ observer })
    await at.ended((await task.delay()).id)
    expect(told).toEqual(['RETRY', 'FAILURE'])
  })

  it('stores no outcome for a task with ignoreResult before the task fails', async () => {
    let runs = 0
    const task = at.app.task('quiet', (context: TaskContext) => (++runs < 3 ? context.retry({ countdown: 0 }) : 'done'), {
      bind: true,
      ignoreResult: true,
    })
    await at.work()
    await task.delay()
    await until('three runs', () => runs === 3)
    await until('acknowledged', async () => (await at.rows('SELECT FROM $outbox')).length === 0)
    expect(await at.rows('SELECT FROM $task_result')).toEqual([])
  })
})

onEveryBroker('a retry whose worker is killed', (at) => {
  it('runs once, in another worker', async () => {
    const app = 'test/fixtures/apps/retrying.ts'
    const first = await at.process(app)
    const { id } = await at.app.sendTask('retrying.once', [2])
    await until('RETRY', async () => (await at.results.find(id))?.state === 'RETRY')
    first.kill('SIGKILL')
    await first.exited
    await at.process(app)
    expect(await at.ended(id, 30_000)).toMatchObject({ state: 'SUCCESS', result: 'attempt 2', retries: 1 })
    expect(await at.rows('SELECT FROM $outbox')).toEqual([])
    await until('nothing is left', async () => (await at.broker.depths(['celery']))[0]?.ready === 0)
  })
})
