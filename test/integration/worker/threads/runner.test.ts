import { join } from 'node:path'
import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type CurrentTask, currentTask } from '../../../../src/app/calls/current-task.ts'
import type { StoredResult } from '../../../../src/app/results/stored-result.ts'
import type { Task } from '../../../../src/app/task.ts'
import type { RetryOptions } from '../../../../src/app/task-context.ts'
import type { TaskOptions } from '../../../../src/app/task-options.ts'
import { parseConfig } from '../../../../src/config.ts'
import { AppError } from '../../../../src/errors.ts'
import { Revocation, WorkerLostError } from '../../../../src/worker/attempt/interruptions.ts'
import type { TaskRun } from '../../../../src/worker/attempt/ports.ts'
import { createThreadRunner, type ThreadRunner } from '../../../../src/worker/threads/runner.ts'
import { until } from '../../../support/until.ts'

const root = join(import.meta.dirname, '../../../..')
let lines: Record<string, unknown>[]
let served: { method: string; args: unknown[] }[]
let progress: unknown[]
let runner: ThreadRunner

const log = pino({ base: null }, { write: (line: string) => void lines.push(JSON.parse(line)) })

/** Stands for the backend of the main thread. */
const services = {
  publish: async (messages: unknown[]) => void served.push({ method: 'publish', args: messages }),
  async keep(kept: unknown, transaction?: { query(text: string, values: unknown[]): Promise<unknown> }) {
    const answer = await transaction?.query('INSERT INTO outbox', [1, 2])
    served.push({ method: 'keep', args: [kept, answer] })
  },
  async wait(id: string, signal: AbortSignal): Promise<StoredResult | undefined> {
    if (id === 'never') await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
    return id === 'never'
      ? undefined
      : { ...STORED, id, result: id === 'bad' ? { exc_type: 'KeyError' } : 42, state: id === 'bad' ? 'FAILURE' : 'SUCCESS' }
  },
}
const STORED: StoredResult = {
  id: '',
  task: 't',
  state: 'SUCCESS',
  result: null,
  traceback: null,
  queue: null,
  worker: null,
  retries: 0,
  args: null,
  createdAt: new Date(0),
  startedAt: null,
  doneAt: new Date(1),
}

beforeEach(() => {
  lines = []
  served = []
  progress = []
  runner = createThreadRunner({
    entry: new URL('../../../../src/commands/thread.ts', import.meta.url),
    threads: 2,
    memoryMb: 32,
    log,
    services,
    data: { config: parseConfig({}), appModule: join(root, 'test/fixtures/apps/thread-app.mjs') },
  })
})
afterEach(() => runner.close())

interface Given {
  readonly options?: TaskOptions
  readonly retries?: number
  readonly signal?: AbortSignal
  readonly retry?: (options?: RetryOptions) => never
}

/** One attempt, as the executor creates it. */
function attempt(name: string, args: unknown[] = [], { options = {}, retries = 0, signal, retry }: Given = {}): TaskRun {
  const own = signal ?? new AbortController().signal
  const headers = { id: 'the-id', task: name, tenant: 'a' }
  const context = {
    ...{ id: 'the-id', task: name, queue: 'q', retries, attempt: retries + 1, kwargs: {}, headers },
    ...{ parentId: undefined, rootId: 'the-root', signal: own, log: log.child({ id: 'the-id' }) },
    progress: (...said: unknown[]) => void progress.push(said),
    retry:
      retry ??
      (() => {
        throw new Error('not asked for')
      }),
  }
  const task = { name, options } as unknown as Task
  return { task, context, body: { args, kwargs: {}, embed: {} }, delivery: undefined as never }
}
const run = (name: string, args?: unknown[], given?: Given) => runner.run(attempt(name, args, given))
const failure = (promise: Promise<unknown>) =>
  promise.then(
    (value) => expect.fail(`it gave ${JSON.stringify(value)}`),
    (error) => error,
  )

describe('a task in a thread', { timeout: 90_000 }, () => {
  it('runs in a thread that later tasks use again', async () => {
    const first = (await run('thread.where')) as { isMainThread: boolean; threadId: number }
    expect(first).toMatchObject({ isMainThread: false, threadId: expect.any(Number) })
    expect(await run('thread.where')).toEqual(first)
    expect(await run('thread.add', [1, 2])).toBe(3)
  })
  it('does not block the event loop while it computes', async () => {
    let turns = 0
    const timer = setInterval(() => turns++, 5)
    await run('thread.spin', [400])
    clearInterval(timer)
    // A blocked loop would have none or one.
    expect(turns).toBeGreaterThan(5)
  })
  it('receives the context of its attempt', async () => {
    expect(await run('thread.context', [], { retries: 2 })).toEqual({
      id: 'the-id',
      task: 'thread.context',
      queue: 'q',
      retries: 2,
      attempt: 3,
      kwargs: {},
      tenant: 'a',
      parentId: null,
      rootId: 'the-root',
    })
  })
  it('logs and reports progress through the main thread', async () => {
    await run('thread.talk')
    expect(lines).toMatchObject([
      { level: 30, msg: 'working', step: 1, id: 'the-id' },
      { level: 50, msg: 'not so good', err: { message: 'shown', stack: expect.stringContaining('thread-app.mjs') } },
    ])
    expect(progress).toEqual([[1, 2, 'half']])
  })
  it('fails with an error that has the path of the value if its result is not JSON', async () => {
    expect(await failure(run('thread.not-json'))).toMatchObject({
      name: 'EncodeError',
      message: expect.stringContaining('result.list[1]'),
    })
  })
  it('fails if its name is not registered in the thread', async () => {
    expect(await failure(run('thread.nothing'))).toMatchObject({ name: 'NotRegistered' })
  })
})

describe('an error that is thrown in a thread', () => {
  class PaymentError extends Error {}
  it('has its class, fields, cause and stack in the main thread', async () => {
    const error = await failure(run('thread.throw', ['payment'], { options: { autoretryFor: [PaymentError] } }))
    expect(error).toBeInstanceOf(PaymentError)
    expect(error).toMatchObject({ message: 'no money', status: 402, stack: expect.stringContaining('thread-app.mjs') })
    expect(error.cause).toBeInstanceOf(TypeError)
  })
  it('has the name of its class in the main thread, even if the class exists only in the thread', async () => {
    expect(await failure(run('thread.throw', ['payment']))).toMatchObject({ name: 'PaymentError' })
  })
  it('has its code in the main thread if it is an error of onedyno', async () => {
    const error = await failure(run('thread.throw', ['coded']))
    expect(error).toBeInstanceOf(AppError)
    expect(error).toMatchObject({ code: 'TASK_UNKNOWN', exit: 64, hint: expect.stringContaining('spelling') })
  })
  it('can be a built-in error or any other value', async () => {
    expect(await failure(run('thread.throw', ['far']))).toBeInstanceOf(RangeError)
    expect(await failure(run('thread.throw', ['text']))).toBe('just a text')
  })
  it('follows the retry policy of the main thread when the task calls retry', async () => {
    const asked: unknown[] = []
    const retry = (options?: RetryOptions): never => {
      asked.push(options)
      throw new Error('Retry')
    }
    expect(await failure(run('thread.retry', [], { retry }))).toMatchObject({ message: 'Retry' })
    expect(asked).toMatchObject([{ countdown: 5, error: { message: 'again', status: 1 } }])
    expect(await run('thread.retry', [], { retry, retries: 2 })).toBe(2)
  })
  it('is logged and ends neither the task nor the thread if it is an unhandled rejection', async () => {
    await run('thread.unawaited')
    expect(lines).toMatchObject([
      { level: 50, msg: expect.stringContaining('unhandled rejection in a thread'), err: { message: 'nobody waits' } },
    ])
    expect(await run('thread.add', [1, 1])).toBe(2)
  })
})

describe('the main thread, which has the connections to servers,', () => {
  it('sends tasks on behalf of a thread, as children of the task in the thread', async () => {
    const sent: unknown[] = []
    const current: CurrentTask = {
      id: 'the-id',
      rootId: 'the-root',
      inherited: { trace: 'x' },
      sent: (child) => void sent.push(child),
    }
    const ids = await currentTask.run(current, () => run('thread.send'))
    expect(ids).toEqual(sent)
    expect(served.map(({ method }) => method)).toEqual(['keep', 'publish'])
    expect(served[1]?.args[0]).toMatchObject({ headers: { parent_id: 'the-id', root_id: 'the-root', trace: 'x' } })
  })
  it('waits for the result of another task on behalf of a thread', async () => {
    expect(await run('thread.get', ['good'])).toEqual({ value: 42 })
    expect(await failure(run('thread.get', ['bad']))).toMatchObject({ name: 'TaskError', excType: 'KeyError' })
    expect(await failure(run('thread.get-soon', ['never']))).toMatchObject({ code: 'RESULT_TIMEOUT' })
  })
  it('sends a message in a transaction that the code in a thread has opened', async () => {
    expect(await run('thread.transaction')).toEqual([['INSERT INTO outbox', 2]])
    expect(served).toMatchObject([{ method: 'keep', args: [expect.anything(), { rows: [{ ok: true }] }] }])
  })
})

describe('the end of a thread', { timeout: 90_000 }, () => {
  it.each([
    ['process.exit', 'thread.exit', [3], /exitcode 3/],
    ['too much memory', 'thread.eat', [], /out of memory.*32 MB/],
    ['an exception outside of every promise', 'thread.later-throw', [], /outside of every promise/],
  ])('by %s causes a WorkerLostError only for the task of this thread', async (_how, name, args, message) => {
    const neighbour = run('thread.nap', [1500])
    const error = await failure(run(name, args as unknown[]))
    expect(error).toBeInstanceOf(WorkerLostError)
    expect(error.message).toMatch(message)
    expect(await run('thread.add', [1, 2])).toBe(3)
    expect(await neighbour).toBe(1500)
  })
  it('happens when the worker abandons the task in the thread', async () => {
    const given = attempt('thread.for-ever')
    const ended = failure(runner.run(given))
    expect(await run('thread.add', [1, 2])).toBe(3)
    runner.abandon(given)
    expect(await ended).toBeInstanceOf(Error)
    expect(await Promise.all([1, 2, 3].map((n) => run('thread.add', [n, 1])))).toEqual([2, 3, 4])
  })
  it('follows a revoke if the task in the thread ignores its abort signal', async () => {
    const revoked = new AbortController()
    const ended = failure(run('thread.deaf', [], { signal: revoked.signal }))
    await run('thread.add', [1, 1])
    revoked.abort(new Revocation())
    expect(await ended).toBe(revoked.signal.reason)
  })
  it('does not happen when the task in the thread stops on its abort signal', async () => {
    const limit = new AbortController()
    const ended = failure(run('thread.aborts', [], { signal: limit.signal }))
    await run('thread.add', [1, 1])
    limit.abort(Object.assign(new Error('soft limit'), { name: 'SoftTimeLimitExceeded' }))
    expect(await ended).toMatchObject({ name: 'SoftTimeLimitExceeded', message: 'soft limit' })
  })
  it('does not happen when the signal was aborted before its task began', async () => {
    const limit = new AbortController()
    limit.abort(new Error('at once'))
    expect(await failure(run('thread.aborts', [], { signal: limit.signal }))).toMatchObject({ message: 'at once' })
  })
  it('makes a thread free for the next task that waits for a thread', async () => {
    const first = [run('thread.nap', [400]), run('thread.nap', [400])]
    const begun: number[] = []
    const waiting = runner.run({ ...attempt('thread.add', [1, 2]), begun: () => void begun.push(1) })
    await Promise.race(first)
    expect(begun).toEqual([])
    expect(await waiting).toBe(3)
    expect(begun).toEqual([1])
    await Promise.all(first)
  })
  it('is not awaited by a task that is aborted before it gets a thread', async () => {
    const first = [run('thread.nap', [3000]), run('thread.nap', [3000])]
    const stop = new AbortController()
    let napping = true
    void Promise.race(first).then(() => {
      napping = false
    })
    const waiting = failure(run('thread.add', [1, 2], { signal: stop.signal }))
    const abandoned = attempt('thread.add', [1, 2])
    const other = failure(runner.run(abandoned))
    stop.abort(new Error('the worker stops'))
    expect(runner.abandon(abandoned)).toBe(true)
    expect(await waiting).toMatchObject({ message: 'the worker stops' })
    expect(await other).toBeInstanceOf(Error)
    expect(napping).toBe(true)
    expect(await Promise.all([...first, run('thread.add', [1, 2])])).toEqual([3000, 3000, 3])
  })
  it('happens with every task in a thread when the pool closes', async () => {
    const ended = failure(run('thread.for-ever'))
    await run('thread.add', [1, 1])
    await runner.close()
    expect(await ended).toBeInstanceOf(Error)
  })
  it('does not cause the loss of tasks that wait for a thread', async () => {
    const many = Array.from({ length: 6 }, (_, n) => (n % 2 === 0 ? failure(run('thread.exit', [n])) : run('thread.add', [n, 1])))
    const ends = await Promise.all(many)
    expect(ends.filter((end) => end instanceof WorkerLostError)).toHaveLength(3)
    expect(ends.filter((end) => typeof end === 'number')).toEqual([2, 4, 6])
  })
})

it('a pool of threads that was never used can be closed', async () => {
  await runner.close()
  await until('nothing', () => true)
})
