import { once } from 'node:events'
import { describe, expect, expectTypeOf, it } from 'vitest'
import { type Backend, createRegistry } from '../../../src/app/app.ts'
import { type AsyncResult, type StoredResult, TaskError } from '../../../src/app/async-result.ts'
import type { Kept } from '../../../src/app/backend.ts'
import type { TaskContext } from '../../../src/app/task.ts'
import type { Message } from '../../../src/message/message.ts'

/** A backend that remembers, and answers what it is given. */
function createBackend(stored: Partial<StoredResult>[] = []) {
  const sent: Message[] = []
  const kept: (Kept & { transaction: unknown })[] = []
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

describe('an application', () => {
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

  it('takes arguments and result from the function', () => {
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

  it('uses the options of the call before those of the task', async () => {
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

  it('keeps the future in the outbox and says when it is due', async () => {
    const { app, sent, kept } = createBackend()
    const task = app.task('t', () => 1)
    const before = Date.now()
    await task.applyAsync([], { countdown: 60 })
    const eta = new Date('2030-01-01T00:00:00Z')
    await task.applyAsync([], { eta })
    const transaction = { query: async () => {} }
    await task.applyAsync([], { transaction })
    expect(sent).toEqual([])
    // A countdown is due by the clock of the database; the header says when that is about.
    expect(kept[0]!.due).toEqual({ afterSeconds: 60 })
    expect(Date.parse(kept[0]!.message.headers.eta ?? '') - before).toBeGreaterThanOrEqual(60_000)
    expect(kept[1]).toMatchObject({ due: eta, message: { headers: { eta: eta.toISOString() } } })
    expect(kept[2]).toMatchObject({ due: undefined, transaction, message: { headers: { task: 't' } } })
    expect(kept[2]!.message.headers.eta).toBeUndefined()
  })

  it('turns relative expiry into a moment', async () => {
    const { app, sent } = createBackend()
    const before = Date.now()
    await app.task('t', () => 1).applyAsync([], { expires: 120 })
    expect(Date.parse(sent[0]!.headers.expires ?? '')).toBeGreaterThanOrEqual(before + 120_000)
  })

  it('sends tasks that are registered elsewhere by their name', async () => {
    const { app, sent } = createBackend()
    await app.sendTask('python.task', [1])
    expect(sent[0]!.headers.task).toBe('python.task')
  })

  const schemas = [
    { type: 'string', title: 'url' },
    { type: 'integer', title: 'times', default: 1 },
  ]
  it.each([
    ['a wrong type', [7], 'tasks.get: url must be string, not 7'],
    ['the second of the wrong type', ['a', 1.5], 'tasks.get: times must be integer, not 1.5'],
    ['too many', ['a', 1, 2], 'takes 1 to 2 arguments, not 3: tasks.get(url, times)'],
    ['too few', [], 'takes 1 to 2 arguments, not 0'],
  ])('refuses arguments before they are sent: %s', async (_name, args, message) => {
    const { app, sent } = createBackend()
    const task = app.task('tasks.get', (..._args: unknown[]) => 1, { args: schemas })
    await expect(task.applyAsync(args)).rejects.toMatchObject({
      code: 'ARGUMENTS_INVALID',
      message: expect.stringContaining(message),
    })
    expect(sent).toEqual([])
  })

  it('accepts arguments that fit their schemas', async () => {
    const { app, sent } = createBackend()
    await app.task('tasks.get', (..._args: unknown[]) => 1, { args: schemas }).applyAsync(['a'])
    expect(sent).toHaveLength(1)
  })

  it.each([
    ['a priority over 255', { priority: 256 }, 'priority 256'],
    ['a broken priority', { priority: 1.5 }, 'priority 1.5'],
    ['an empty id', { taskId: '' }, 'taskId'],
    ['an id that is too long', { taskId: 'x'.repeat(256) }, 'taskId'],
    ['an empty queue', { queue: '' }, 'queue ""'],
    ['a negative countdown', { countdown: -1 }, 'countdown -1'],
    ['countdown and eta', { countdown: 1, eta: new Date() }, 'exclude each other'],
    ['an eta that is no date', { eta: new Date('x') }, 'eta is not a valid Date'],
    ['an expiry that is no date', { expires: new Date('x') }, 'expires is not a valid Date'],
  ])('refuses %s', async (_name, options, message) => {
    const { app, sent } = createBackend()
    await expect(app.task('t', () => 1).applyAsync([], options)).rejects.toMatchObject({
      code: 'TASK_OPTION_INVALID',
      message: expect.stringContaining(message),
    })
    expect(sent).toEqual([])
  })

  it('refuses what is not JSON and names the place', async () => {
    const { app } = createBackend()
    const task = app.task('t', (_x: unknown) => 1)
    await expect(task.delay({ when: new Date(0) })).rejects.toMatchObject({
      code: 'VALUE_NOT_JSON',
      message: 'args[0].when is a Date, not a plain object; pass its JSON form instead',
    })
  })

  it('refuses a name twice, and a name that cannot be one', () => {
    const { app } = createBackend()
    app.task('t', () => 1)
    expect(() => app.task('t', () => 2)).toThrow('registered twice')
    expect(() => app.task('no spaces', () => 2)).toThrow(expect.objectContaining({ code: 'TASK_NAME_INVALID' }))
  })

  it('sends nothing once closed', async () => {
    const { app } = createBackend()
    const task = app.task('t', () => 1)
    await app.close()
    await expect(task.delay()).rejects.toMatchObject({ code: 'APP_CLOSED' })
  })

  it('tries to connect again after a connection that failed', async () => {
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
  ])('of %s is %s', async (id, state, ready, successful) => {
    const result = app.asyncResult(id)
    expect([await result.state(), await result.ready(), await result.successful()]).toEqual([state, ready, successful])
  })

  it('gives the value', async () => expect(await app.asyncResult('ok').get()).toEqual([1]))

  it('throws what the worker recorded', async () => {
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

  it('says how long it waited', async () => {
    await expect(app.asyncResult('nobody').get({ timeoutMs: 5 })).rejects.toMatchObject({
      code: 'RESULT_TIMEOUT',
      message: expect.stringContaining('5 ms'),
    })
  })

  it('stops waiting when the caller does', async () => {
    await expect(app.asyncResult('nobody').get({ signal: AbortSignal.abort(new Error('enough')) })).rejects.toThrow('enough')
  })
})
