import { describe, expect, it } from 'vitest'
import { createRegistry } from '../../../src/app/app.ts'
import type { Backend } from '../../../src/app/backend.ts'
import type { Plan } from '../../../src/app/effects.ts'
import type { StoredResult } from '../../../src/app/results/stored-result.ts'
import type { TaskContext } from '../../../src/app/task-context.ts'
import { parseConfig } from '../../../src/config.ts'
import { decodeBody } from '../../../src/message/message.ts'
import { registerCanvasTasks } from '../../../src/tasks/canvas.ts'
import { task } from '../../support/signatures.ts'

function create(stored: Record<string, Partial<StoredResult>> = {}) {
  const sent: Plan[] = []
  const app = createRegistry(async () => ({ send: async (plan: Plan) => void sent.push(plan) }) as unknown as Backend)
  app.task('add', (x: number, y: number) => x + y)
  app.task('double', (x: number) => x * 2)
  app.task('nothing', () => undefined)
  app.task('bound', (context: TaskContext, x: number) => [context.id, context.task, context.attempt, context.kwargs, x], {
    bind: true,
  })
  const results = { find: async (id: string) => stored[id] as StoredResult | undefined, cleanUp: async () => 3 }
  registerCanvasTasks(app, { config: parseConfig({}), results })
  const run = (name: string, args: unknown[], kwargs: Record<string, unknown> = {}, signal = new AbortController().signal) => {
    const context = { id: 'i', task: name, queue: 'q', retries: 1, attempt: 2, kwargs, headers: {}, rootId: 'i', signal }
    const retry = (options: unknown) => {
      throw Object.assign(new Error('later'), { name: 'Retry', options })
    }
    return app.tasks.get(name)!.run({ ...context, retry } as unknown as TaskContext, args)
  }
  return { app, sent, run }
}

describe('the tasks of Celery', () => {
  it.each([
    ['celery.map', { task: task('double'), it: [1, 2] }, [2, 4]],
    [
      'celery.starmap',
      {
        task: task('add'),
        it: [
          [1, 2],
          [3, 4],
        ],
      },
      [3, 7],
    ],
    ['celery.map', { task: task('nothing'), it: [1] }, [null]],
    ['celery.map', { task: task('bound'), it: [7] }, [['i', 'bound', 2, {}, 7]]],
    ['celery.map', { task: task('double'), it: [] }, []],
  ])('%s calls a task for each item of %j', async (name, kwargs, expected) => {
    expect(await create().run(name, [], kwargs)).toEqual(expected)
    expect(await create().run(name, [kwargs.task, kwargs.it])).toEqual(expected)
  })

  it('celery.map fails for an unknown task, and stops when its signal aborts', async () => {
    const { run } = create()
    await expect(run('celery.map', [], { task: task('missing'), it: [1] })).rejects.toMatchObject({
      name: 'NotRegistered',
      message: 'missing',
    })
    const over = AbortSignal.abort(new Error('enough'))
    await expect(run('celery.map', [], { task: task('double'), it: [1] }, over)).rejects.toThrow('enough')
  })

  it('celery.chunks sends a group of starmaps and returns it in Celery’s form', async () => {
    const { run, sent } = create()
    const kwargs = {
      task: task('add'),
      it: [
        [1, 2],
        [3, 4],
        [5, 6],
      ],
      n: 2,
    }
    const [[id], members] = (await run('celery.chunks', [], kwargs)) as [[string, null], [[string, null], null][]]
    expect(sent[0]!.groups).toEqual([{ id, members: members.map(([[member]]) => member) }])
    expect(sent[0]!.messages.map(({ body }) => decodeBody(body).kwargs.it)).toEqual([
      [
        [1, 2],
        [3, 4],
      ],
      [[5, 6]],
    ])
    await expect(run('celery.chunks', [], { ...kwargs, n: 0 })).rejects.toThrow(/n must be a whole number from 1, not 0/)
  })

  it.each([
    [[1, 2], {}, [1, 2]],
    [[1, 2], { index: 1 }, 2],
    [[], { index: 0 }, null],
  ])('celery.accumulate with the arguments %j and the keyword arguments %j returns %j', async (args, kwargs, expected) => {
    expect(await create().run('celery.accumulate', args, kwargs)).toEqual(expected)
  })

  it('celery.backend_cleanup deletes old results', async () => {
    expect(await create().run('celery.backend_cleanup', [])).toEqual({ deleted: 3 })
  })

  describe('celery.chord_unlock', () => {
    const body = task('add', [1], { task_id: 'body', link_error: [task('errback')] })
    const result = [
      [['a', null], null],
      [['g', null], [[['b', null], null]]],
    ]
    const kwargs = { interval: null, max_retries: null, result }

    it('waits until all members have ended', async () => {
      const { run, sent } = create({ a: { state: 'SUCCESS', result: 1 }, b: { state: 'STARTED' } })
      await expect(run('celery.chord_unlock', ['g', body], kwargs)).rejects.toMatchObject({
        name: 'Retry',
        options: { countdown: 1, max: null },
      })
      expect(sent).toEqual([])
    })

    it('sends the body with the results of the members', async () => {
      const { run, sent } = create({ a: { state: 'SUCCESS', result: 1 }, b: { state: 'SUCCESS', result: null } })
      expect(await run('celery.chord_unlock', ['g', body], kwargs)).toBeNull()
      expect(sent[0]!.messages[0]!.headers.id).toBe('body')
      expect(decodeBody(sent[0]!.messages[0]!.body).args).toEqual([[1, null], 1])
    })

    it('sends the errbacks when a member failed', async () => {
      const { run, sent } = create({ a: { state: 'FAILURE' }, b: { state: 'SUCCESS', result: 1 } })
      await expect(run('celery.chord_unlock', ['g', body], kwargs)).rejects.toMatchObject({ name: 'ChordError' })
      expect(sent.map(({ messages }) => [messages[0]!.headers.task, decodeBody(messages[0]!.body).args])).toEqual([
        ['errback', ['body']],
      ])
    })
  })

  it('do not replace tasks of the application with the same name', () => {
    const app = createRegistry(() => Promise.reject(new Error('nothing is sent here')))
    const own = app.task('celery.map', () => 'mine')
    registerCanvasTasks(app, { config: parseConfig({}), results: { find: async () => undefined, cleanUp: async () => 0 } })
    expect(app.tasks.get('celery.map')).toBe(own)
  })
})
