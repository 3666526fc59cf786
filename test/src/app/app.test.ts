import { once } from 'node:events'
import { describe, expect, expectTypeOf, it } from 'vitest'
import { type Backend, createRegistry } from '../../../src/app/app.ts'
import type { ApplyOptions, TransactionClient } from '../../../src/app/apply-options.ts'
import type { DueMessage } from '../../../src/app/backend.ts'
import { currentTask } from '../../../src/app/calls/current-task.ts'
import type { AsyncResult } from '../../../src/app/results/handles.ts'
import type { StoredResult } from '../../../src/app/results/stored-result.ts'
import { TaskError } from '../../../src/app/results/task-error.ts'
import type { TaskContext } from '../../../src/app/task-context.ts'
import type { TaskOptions } from '../../../src/app/task-options.ts'
import { AppError } from '../../../src/errors.ts'
import type { Message } from '../../../src/message/message.ts'

/** A fake backend that records its calls and returns the given results. */
function createBackend(stored: Partial<StoredResult>[] = []) {
  const sent: Message[] = []
  const kept: (DueMessage & { transaction: unknown })[] = []
  const unsent: { keys: string[]; certain: boolean }[] = []
  const holders = new Map<string, string>()
  const fail: { publish?: Error } = {}
  const find = async (id: string) => stored.find((result) => result.id === id) as StoredResult | undefined
  const backend: Backend = {
    publish: async (messages) => {
      if (fail.publish !== undefined) throw fail.publish
      sent.push(...messages)
    },
    keep: async (messages, transaction) => void kept.push(...messages.map((each) => ({ ...each, transaction }))),
    async claim(claims) {
      return claims.map(({ key, id }) => {
        const taken = !holders.has(key)
        if (taken) holders.set(key, id)
        return { id: holders.get(key)!, taken }
      })
    },
    send: async (plan) => void sent.push(...plan.messages),
    group: async () => undefined,
    states: async () => [],
    notSent: async (claims, certain) => void unsent.push({ keys: claims.map(({ key }) => key), certain }),
    find,
    revoke: async () => [],
    async wait(id, signal) {
      const found = await find(id)
      if (found === undefined && !signal.aborted) await once(signal, 'abort')
      return found
    },
    forget: async () => {},
    close: async () => {},
  }
  const app = createRegistry(async () => backend)
  return { app, sent, kept, unsent, fail }
}

describe('App', () => {
  it('sends a task with its arguments as JSON, under a new id', async () => {
    const { app, sent } = createBackend()
    const add = app.task('tasks.add', (x: number, y: number) => x + y)
    const result = await add.delay(2, 3)
    expect(sent).toHaveLength(1)
    expect(sent[0]).toMatchObject({
      headers: { id: result.id, task: 'tasks.add' },
      body: '[[2,3],{},{}]',
      queue: 'celery',
      priority: 0,
    })
    expect(result.id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7/)
  })

  it("infers the types of a task's arguments and result from its function", () => {
    const { app } = createBackend()
    const add = app.task('tasks.add', async (x: number, y: string) => `${x}${y}`)
    expectTypeOf(add.delay).parameters.toEqualTypeOf<[x: number, y: string]>()
    expectTypeOf(add.delay).returns.resolves.toEqualTypeOf<AsyncResult<string>>()
    expectTypeOf(add.asyncResult('i').get).returns.resolves.toEqualTypeOf<string>()
    const bound = app.task('tasks.bound', (context: TaskContext, x: boolean) => (x ? context.id : null), { bind: true })
    expectTypeOf(bound.delay).parameters.toEqualTypeOf<[x: boolean]>()
    // @ts-expect-error a wrong argument does not compile
    void (() => add.delay('2', '3'))
  })

  it('prefers the options of the call to the options of the task', async () => {
    const { app, sent } = createBackend()
    const task = app.task('t', () => 1, { queue: 'slow', priority: 2, ignoreResult: true })
    await task.delay()
    await task.applyAsync([], { queue: 'fast', priority: 9, taskId: 'mine', kwargs: { k: 1 }, headers: { x: 'y' } })
    expect(sent[0]).toMatchObject({ queue: 'slow', priority: 2, headers: { ignore_result: true } })
    expect(sent[1]).toMatchObject({
      queue: 'fast',
      priority: 9,
      body: '[[],{"k":1},{}]',
      headers: { id: 'mine', x: 'y', ignore_result: true },
    })
  })

  it('writes a message with a countdown or eta to the outbox with its due time', async () => {
    const { app, sent, kept } = createBackend()
    const task = app.task('t', () => 1)
    const before = Date.now()
    await task.applyAsync([], { countdown: 60 })
    const eta = new Date('2030-01-01T00:00:00Z')
    await task.applyAsync([], { eta })
    const transaction = { query: async () => {} }
    await task.applyAsync([], { transaction })
    expect(sent).toEqual([])
    // A countdown is due by the clock of the database. The header only holds an approximate time.
    expect(kept[0]!.due).toEqual({ afterSeconds: 60 })
    expect(Date.parse(kept[0]!.message.headers.eta ?? '') - before).toBeGreaterThanOrEqual(60_000)
    expect(kept[1]).toMatchObject({ due: eta, message: { headers: { eta: eta.toISOString() } } })
    expect(kept[2]).toMatchObject({ due: undefined, transaction, message: { headers: { task: 't' } } })
    expect(kept[2]!.message.headers.eta).toBeUndefined()
  })

  it('converts an expiry in seconds to a point in time', async () => {
    const { app, sent } = createBackend()
    const before = Date.now()
    await app.task('t', () => 1).applyAsync([], { expires: 120 })
    expect(Date.parse(sent[0]!.headers.expires ?? '')).toBeGreaterThanOrEqual(before + 120_000)
  })

  it('sends a task by its name if only another process registers it', async () => {
    const { app, sent } = createBackend()
    await app.sendTask('python.task', [1])
    expect(sent[0]!.headers.task).toBe('python.task')
  })

  const schemas = [
    { type: 'string', title: 'url' },
    { type: 'integer', title: 'times', default: 1 },
  ]
  it.each([
    ['an argument of a wrong type', [7], 'tasks.get: url must be string, not 7'],
    ['a second argument of a wrong type', ['a', 1.5], 'tasks.get: times must be integer, not 1.5'],
    ['too many arguments', ['a', 1, 2], 'takes 1 to 2 arguments, not 3: tasks.get(url, times)'],
    ['too few arguments', [], 'takes 1 to 2 arguments, not 0'],
  ])('refuses %s before anything is sent', async (_name, args, message) => {
    const { app, sent } = createBackend()
    const task = app.task('tasks.get', (..._args: unknown[]) => 1, { args: schemas })
    await expect(task.applyAsync(args)).rejects.toMatchObject({
      code: 'ARGUMENTS_INVALID',
      message: expect.stringContaining(message),
    })
    expect(sent).toEqual([])
  })

  it('accepts arguments that match their schemas', async () => {
    const { app, sent } = createBackend()
    await app.task('tasks.get', (..._args: unknown[]) => 1, { args: schemas }).applyAsync(['a'])
    expect(sent).toHaveLength(1)
  })

  it.each([
    ['a priority over 255', { priority: 256 }, 'priority must be a whole number from 0 to 255, not 256'],
    ['a fractional priority', { priority: 1.5 }, 'priority must be a whole number from 0 to 255, not 1.5'],
    ['an empty id', { taskId: '' }, 'taskId'],
    ['an id that is too long', { taskId: 'x'.repeat(256) }, 'taskId'],
    ['an empty queue', { queue: '' }, 'queue must be a text of 1 to 200 characters, not ""'],
    ['a negative countdown', { countdown: -1 }, 'countdown must be a number of seconds from 0 to 3200000000, not -1'],
    ['countdown together with eta', { countdown: 1, eta: new Date() }, 'countdown and eta are both set'],
    ['an invalid Date as eta', { eta: new Date('x') }, 'eta must be a valid Date'],
    ['a string as eta', { eta: 'garbage' as unknown as Date }, 'eta must be a valid Date'],
    [
      'an eta after the year 9999, which Python cannot read',
      { eta: new Date('+010000-01-01T00:00:00Z') },
      'eta must be a valid Date before the year 10000',
    ],
    ['an invalid Date as expiry', { expires: new Date('x') }, 'expires must be a number of seconds or a valid Date'],
    ['an expiry after the last Date', { expires: 1e300 }, 'expires must be a Date or at most 3200000000 seconds, not 1e+300'],
    ['a time limit of 0', { timeLimit: 0 }, 'timeLimit must be a number of seconds above 0, not 0'],
    [
      'a soft time limit later than the hard time limit',
      { timeLimit: 1, softTimeLimit: 2 },
      'softTimeLimit must not be above timeLimit (1 s), not 2',
    ],
    ['an empty shadow name', { shadow: '' }, 'shadow must be a text of 1 to 200 characters, not ""'],
    ['a transaction that is not a database client', { transaction: {} as TransactionClient }, 'transaction must be a client'],
    ['options that are not an object', 5 as ApplyOptions, 'options must be an object, not 5'],
    ['the header eta, which the option eta sets', { headers: { eta: 'garbage' } }, 'headers.eta is reserved: use the option eta'],
    [
      'the header timelimit, which two options set',
      { headers: { timelimit: [1, 2] } },
      'use the options timeLimit and softTimeLimit',
    ],
    [
      'the header parent_id, which onedyno writes',
      { headers: { parent_id: 'x' } },
      'headers.parent_id is reserved: only onedyno writes this header',
    ],
    ['a header whose name begins with onedyno_', { headers: { onedyno_unique: 'end' } }, 'headers.onedyno_unique is reserved'],
    [
      'headers that are not an object',
      { headers: [] as unknown as Record<string, unknown> },
      'headers must be an object, not []',
    ],
  ])('refuses %s', async (_name, options, message) => {
    const { app, sent } = createBackend()
    await expect(app.task('t', () => 1).applyAsync([], options)).rejects.toMatchObject({
      code: 'TASK_OPTION_INVALID',
      message: expect.stringContaining(message),
    })
    expect(sent).toEqual([])
  })

  it.each<[string, TaskOptions, string]>([
    [
      'an invalid rate limit',
      { rateLimit: '10/d' },
      't: rateLimit must be a number of tasks with /s, /m or /h, such as "10/m", not "10/d"',
    ],
    [
      'a soft time limit later than the hard time limit',
      { timeLimit: 1, softTimeLimit: 2 },
      't: softTimeLimit must not be above timeLimit (1 s), not 2',
    ],
    ['a priority over 255', { priority: 300 }, 't: priority must be a whole number from 0 to 255, not 300'],
    ['an expiry of 0', { expires: 0 }, 't: expires must be a number of seconds above 0, not 0'],
    ['an unknown pool', { pool: 'process' as 'async' }, 't: pool must be "async" or "thread", not "process"'],
    ['an unknown value of acks', { acks: 'never' as 'late' }, 't: acks must be "late" or "early", not "never"'],
    [
      'a unique key that is kept for 0 ms',
      { unique: { forMs: 0 } },
      't: unique.forMs must be a number of milliseconds from 1 to 31622400000, not 0',
    ],
    [
      'a unique key that is kept without end',
      { unique: { forMs: Number.POSITIVE_INFINITY } },
      't: unique.forMs must be a number of milliseconds',
    ],
    [
      'an unknown value of unique.until',
      { unique: { forMs: 1, until: 'start' as 'end' } },
      't: unique.until must be "end" or "time", not "start"',
    ],
    [
      'a unique key that is not a function',
      { unique: { forMs: 1, key: 'k' as unknown as () => string } },
      't: unique.key must be a function',
    ],
  ])('refuses a task with %s', (_name, options, message) =>
    expect(() => createBackend().app.task('t', (..._args: unknown[]) => 1, options)).toThrow(
      expect.objectContaining({ code: 'TASK_OPTION_INVALID', message: expect.stringContaining(message) }),
    ),
  )

  it('sends time limits, shadow name and expiry as headers if the call sets them', async () => {
    const { app, sent } = createBackend()
    const task = app.task('t', () => 1, { timeLimit: 9, expires: 60 })
    const before = Date.now()
    await task.delay()
    await task.applyAsync([], { softTimeLimit: 2, shadow: 'tee', ignoreResult: true, expires: 5 })
    expect(sent[0]!.headers.timelimit).toBeUndefined()
    expect(Date.parse(sent[0]!.headers.expires ?? '') - before).toBeGreaterThanOrEqual(60_000)
    expect(sent[1]!.headers).toMatchObject({ timelimit: [null, 2], shadow: 'tee', ignore_result: true })
    expect(Date.parse(sent[1]!.headers.expires ?? '') - before).toBeLessThan(30_000)
  })

  it('records a task that another task sends as a child of the sender', async () => {
    const { app, sent } = createBackend()
    const children: unknown[] = []
    const parent = {
      id: 'p',
      rootId: 'r',
      inherited: { traceparent: '00-1', mine: 1 },
      sent: (child: unknown) => children.push(child),
    }
    const { id } = await currentTask.run(parent, () => app.sendTask('t', [], { headers: { mine: 2 } }))
    expect(sent[0]!.headers).toEqual({ id, task: 't', parent_id: 'p', root_id: 'r', traceparent: '00-1', mine: 2 })
    expect(children).toEqual([id])
    await app.sendTask('t', [])
    expect(sent[1]!.headers.parent_id).toBeUndefined()
  })

  it('refuses an argument that is not JSON and names its path', async () => {
    const { app } = createBackend()
    const task = app.task('t', (_x: unknown) => 1)
    await expect(task.delay({ when: new Date(0) })).rejects.toMatchObject({
      code: 'VALUE_NOT_JSON',
      message: 'args[0].when is a Date, not a plain object: pass its JSON form instead',
    })
  })

  it('refuses a duplicate task name and an invalid task name', () => {
    const { app } = createBackend()
    app.task('t', () => 1)
    expect(() => app.task('t', () => 2)).toThrow('registered twice')
    expect(() => app.task('no spaces', () => 2)).toThrow(expect.objectContaining({ code: 'TASK_NAME_INVALID' }))
  })

  it('sends nothing after close()', async () => {
    const { app } = createBackend()
    const task = app.task('t', () => 1)
    await app.close()
    await expect(task.delay()).rejects.toMatchObject({ code: 'APP_CLOSED' })
  })

  it('connects again after a failed connection', async () => {
    let attempts = 0
    const { app: working, sent } = createBackend()
    await working.sendTask('x', [])
    const app = createRegistry(async () => {
      if (attempts++ === 0) throw new Error('not yet')
      return { publish: async (messages: readonly Message[]) => void sent.push(...messages) } as Backend
    })
    await expect(app.sendTask('t', [])).rejects.toThrow('not yet')
    await app.sendTask('t', [])
    expect(sent).toHaveLength(2)
  })
})

describe('App.enqueue', () => {
  it('publishes all calls at once and returns typed handles in their order', async () => {
    const { app, sent } = createBackend()
    const add = app.task('add', (x: number, y: number) => x + y, { queue: 'sums' })
    const results = await app.enqueue([
      { task: add, args: [1, 2] },
      { task: 'python.task', args: [1], options: { priority: 3, taskId: 'mine' } },
      { task: add, args: [3, 4] },
    ])
    expectTypeOf(results[0]).toEqualTypeOf<AsyncResult<number>>()
    expectTypeOf(results[1]).toEqualTypeOf<AsyncResult<unknown>>()
    // @ts-expect-error a wrong argument does not compile
    void (() => app.enqueue([{ task: add, args: ['1', 2] }]))
    // @ts-expect-error nor does a missing one
    void (() => app.enqueue([{ task: add }]))
    expect(sent.map(({ headers }) => headers.id)).toEqual(results.map(({ id }) => id))
    expect(sent).toMatchObject([{ queue: 'sums', body: '[[1,2],{},{}]' }, { priority: 3, headers: { id: 'mine' } }, {}])
    expect(await app.enqueue([])).toEqual([])
  })

  it('accepts signatures of tasks with their options', async () => {
    const { app, sent } = createBackend()
    const add = app.task('add', (x: number, y: number) => x + y)
    const expires = new Date('2030-01-01T00:00:00Z')
    const options = { queue: 'q', priority: 2, taskId: 'mine', shadow: 's', timeLimit: 3, expires, headers: { mine: 1 } }
    const results = await app.enqueue([add.s(1, 2), add.si(3, 4).set(options)])
    expectTypeOf(results[0]).toEqualTypeOf<AsyncResult<number>>()
    expect(sent[0]).toMatchObject({ body: '[[1,2],{},{}]', headers: { id: results[0].id, task: 'add' } })
    expect(sent[1]).toMatchObject({ queue: 'q', priority: 2, body: '[[3,4],{},{}]' })
    expect(sent[1]!.headers).toMatchObject({
      id: 'mine',
      shadow: 's',
      timelimit: [3, null],
      mine: 1,
      expires: expires.toISOString(),
    })
    await expect(app.enqueue([add.s(1, 2), add.s(1, 2).link(add.s(1))])).rejects.toThrow(
      'item 1: the signature of add belongs to a workflow',
    )
  })

  it('writes all calls to the outbox if one call is due later', async () => {
    const { app, sent, kept } = createBackend()
    await app.enqueue([{ task: 'a' }, { task: 'b', options: { countdown: 5 } }])
    expect(sent).toEqual([])
    expect(kept.map(({ message, due }) => [message.headers.task, due])).toEqual([
      ['a', undefined],
      ['b', { afterSeconds: 5 }],
    ])
    const transaction = { query: async () => {} }
    await app.enqueue([{ task: 'c' }], { transaction })
    expect(kept[2]).toMatchObject({ transaction, message: { headers: { task: 'c' } } })
  })

  it.each<[string, unknown, string]>([
    ['an argument that is not JSON', [{ task: 'a' }, { task: 'b', args: [Number.NaN] }], 'item 1: args[0] is NaN'],
    ['an item whose task is neither a task nor a name', [{ task: 7 }], 'item 0: task must be a task or the name'],
    ['an undefined item', [undefined], 'item 0: task must be a task or the name'],
    [
      'a call with an invalid option',
      [{ task: 'a', options: { priority: -1 } }],
      'item 0: priority must be a whole number from 0 to 255, not -1',
    ],
    [
      'a call with its own transaction',
      [{ task: 'a', options: { transaction: {} } }],
      'item 0: an item cannot have its own transaction',
    ],
    ['a string instead of a list', 'a', 'the first argument of enqueue() must be a list'],
  ])('sends nothing if it receives %s', async (_name, items, message) => {
    const { app, sent } = createBackend()
    await expect(app.enqueue(items as { task: string }[])).rejects.toThrow(message)
    expect(sent).toEqual([])
  })
})

describe('a unique task', () => {
  it('is sent once for each key, and the second call returns the handle of the first call', async () => {
    const { app, sent } = createBackend()
    const task = app.task('t', (_x: unknown) => 1, { unique: { forMs: 1000 } })
    const first = await task.delay({ a: 1, b: [2] })
    const second = await task.delay({ b: [2], a: 1 })
    const other = await task.delay({ a: 1, b: [3] })
    expect([first.deduplicated, second.deduplicated, other.deduplicated]).toEqual([undefined, true, undefined])
    expect(second.id).toBe(first.id)
    expect(sent.map(({ headers }) => [headers.id, headers.onedyno_unique])).toEqual([
      [first.id, 'end'],
      [other.id, 'end'],
    ])
    expect(await second.state()).toBe('PENDING')
  })

  it('has the key that its key function returns', async () => {
    const { app, sent } = createBackend()
    const task = app.task('t', (_user: number, _text: string) => 1, {
      unique: { forMs: 1000, key: (user) => String(user), until: 'time' },
    })
    const [first, second] = [await task.delay(1, 'a'), await task.delay(1, 'b')]
    expect(second.id).toBe(first.id)
    await task.delay(2, 'a')
    expect(sent).toHaveLength(2)
    expect(sent[0]!.headers.onedyno_unique).toBeUndefined()
  })

  it('is sent once if one list contains it twice', async () => {
    const { app, sent } = createBackend()
    const task = app.task('t', (_x: number) => 1, { unique: { forMs: 1000 } })
    const results = await app.enqueue([1, 2, 1].map((x) => ({ task, args: [x] as [number] })))
    expect(sent).toHaveLength(2)
    expect(results.map(({ deduplicated }) => deduplicated === true)).toEqual([false, false, true])
    expect(results[2]!.id).toBe(results[0]!.id)
  })

  it.each([
    ['certainly not sent, if the broker refused it', new Error('too large'), true],
    ['possibly sent, if the broker did not answer', new AppError('BROKER_UNREACHABLE', 'away'), false],
  ])('reports to the backend that its message was %s', async (_name, error, certain) => {
    const { app, unsent, fail } = createBackend()
    const task = app.task('t', () => 1, { unique: { forMs: 1000, key: () => 'k' } })
    fail.publish = error
    await expect(task.delay()).rejects.toBe(error)
    expect(unsent).toEqual([{ keys: ['t k'], certain }])
  })

  it('is refused if its key is not a string', async () => {
    const task = createBackend().app.task('t', () => 1, { unique: { forMs: 1000, key: () => 5 as unknown as string } })
    await expect(task.delay()).rejects.toThrow('t: unique.key() must return a text, not a value of type number')
  })
})

describe('an AsyncResult', () => {
  const failure = { exc_type: 'ValueError', exc_message: ['bad', 7], exc_module: 'builtins' }
  const { app } = createBackend([
    { id: 'ok', task: 't', state: 'SUCCESS', result: [1] },
    { id: 'bad', task: 't', state: 'FAILURE', result: failure, traceback: 'at x' },
    { id: 'now', task: 't', state: 'STARTED', result: null },
  ])

  it.each([
    ['ok', 'SUCCESS', true, true],
    ['bad', 'FAILURE', true, false],
    ['now', 'STARTED', false, false],
    ['nobody', 'PENDING', false, false],
  ])('for the id %s has the state %s', async (id, state, ready, successful) => {
    const result = app.asyncResult(id)
    expect([await result.state(), await result.ready(), await result.successful()]).toEqual([state, ready, successful])
  })

  it('returns the value of the task from get()', async () => expect(await app.asyncResult('ok').get()).toEqual([1]))

  it('throws the error that the worker stored from get()', async () => {
    const error = await app
      .asyncResult('bad')
      .get()
      .catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(TaskError)
    expect(error).toMatchObject({
      message: 't[bad] ended as FAILURE: ValueError: bad, 7',
      excType: 'ValueError',
      state: 'FAILURE',
      taskId: 'bad',
      traceback: 'at x',
    })
  })

  it('throws an error that names the timeout if the task has not ended in time', async () => {
    await expect(app.asyncResult('nobody').get({ timeoutMs: 5 })).rejects.toMatchObject({
      code: 'RESULT_TIMEOUT',
      message: expect.stringContaining('5 ms'),
    })
  })

  it('stops waiting when the signal of the caller aborts', async () => {
    await expect(app.asyncResult('nobody').get({ signal: AbortSignal.abort(new Error('enough')) })).rejects.toThrow('enough')
  })
})
