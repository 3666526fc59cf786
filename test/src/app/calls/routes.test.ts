import { describe, expect, it } from 'vitest'
import { createRegistry } from '../../../../src/app/app.ts'
import type { ApplyOptions } from '../../../../src/app/apply-options.ts'
import type { RouteTarget } from '../../../../src/app/calls/routes.ts'
import type { TaskOptions } from '../../../../src/app/task-options.ts'

const newApp = () => createRegistry(() => Promise.reject(new Error('nothing is sent here')))

describe('the pattern of a route', () => {
  it.each<[pattern: string | RegExp, name: string, matches: boolean]>([
    ['feeds.fetch', 'feeds.fetch', true],
    ['feeds.fetch', 'feeds.fetch.now', false],
    ['feeds.*', 'feeds.fetch', true],
    ['feeds.*', 'feeds.', true],
    ['feeds.*', 'feedsXfetch', false],
    ['feeds.*', 'my.feeds.fetch', false],
    ['*', 'anything', true],
    ['*.video.*', 'a.video.b', true],
    ['a?c', 'abc', true],
    ['a?c', 'ac', false],
    ['v[12].run', 'v2.run', true],
    ['v[12].run', 'v3.run', false],
    ['v[!12].run', 'v3.run', true],
    ['v[!12].run', 'v1.run', false],
    ['v[1-3].run', 'v2.run', true],
    ['a*.b-c:d', 'aa.b-c:d', true],
    ['a*(b)', 'aa', false],
    [/^video\.(encode|cut)$/, 'video.cut', true],
    [/video/, 'my.video.cut', true],
    [/^video/, 'my.video.cut', false],
    [/cut$/gy, 'a.cut', true],
  ])('%s is compared with the name %s; the result is %s', (pattern, name, matches) => {
    const app = newApp()
    app.route(pattern, { queue: 'there' })
    // Asked twice, because a global expression keeps lastIndex.
    for (const _attempt of [1, 2]) expect(app.message(name, []).queue).toBe(matches ? 'there' : 'celery')
  })
})

describe('a route', () => {
  it.each<
    [string, routes: Parameters<typeof createRoute>[1], task: TaskOptions, call: ApplyOptions, queue: string, priority: number]
  >([
    ['sets queue and priority', { 't*': { queue: 'r', priority: 7 } }, {}, {}, 'r', 7],
    ['can set only the priority', { 't*': { priority: 7 } }, {}, {}, 'celery', 7],
    ['is overridden by the options of the call', { 't*': { queue: 'r', priority: 7 } }, {}, { queue: 'c', priority: 0 }, 'c', 0],
    ['is overridden by the options of the task, as in Celery', { 't*': { queue: 'r', priority: 7 } }, { queue: 't' }, {}, 't', 7],
    [
      'with an exact name takes precedence over a glob in the same object',
      { 't*': { queue: 'glob' }, t: { queue: 'name' } },
      {},
      {},
      'name',
      0,
    ],
    ['can be a function', { t: (name, args) => ({ queue: `${name}-${args[0]}` }) }, {}, {}, 't-1', 0],
    ['is skipped if its function returns undefined', { t: () => undefined, 't*': { queue: 'next' } }, {}, {}, 'next', 0],
    [
      'passes the options of the call to its function',
      { t: (_name, _args, { kwargs }) => ({ queue: String(kwargs?.to) }) },
      {},
      { kwargs: { to: 'k' } },
      'k',
      0,
    ],
  ])('%s', (_what, routes, task, call, queue, priority) => {
    const app = createRoute(task, routes)
    expect(app.message('t', [1], call)).toMatchObject({ queue, priority })
  })

  function createRoute(task: TaskOptions, routes: Readonly<Record<string, RouteTarget>>) {
    const app = newApp()
    app.task('t', (..._args: unknown[]) => 1, task)
    app.route(routes)
    return app
  }

  it('takes precedence over routes that were added later', () => {
    const app = newApp()
    app.route('a.*', { queue: 'first' })
    app.route({ '*': { queue: 'second' } })
    expect([app.message('a.b', []).queue, app.message('b', []).queue]).toEqual(['first', 'second'])
  })

  it.each<[string, (app: ReturnType<typeof newApp>) => void, string]>([
    ['without a target', (app) => app.route('a', undefined as unknown as RouteTarget), 'the route a must have a target'],
    [
      'to a string instead of an object',
      (app) => app.route('a', 'queue' as unknown as RouteTarget),
      'the route a must have a target',
    ],
    [
      'to an empty queue name',
      (app) => app.route('a', { queue: '' }),
      'the route a: queue must be a text of 1 to 200 characters, not ""',
    ],
    [
      'to an invalid priority',
      (app) => app.route({ a: { priority: 256 } }),
      'the route a: priority must be a whole number from 0 to 255, not 256',
    ],
    ['without a pattern', (app) => app.route(null as unknown as string, {}), 'must be (pattern, target)'],
    [
      'whose function returns an invalid queue name',
      (app) => {
        app.route('a', () => ({ queue: 'x'.repeat(201) }))
        app.message('a', [])
      },
      'the route a: queue',
    ],
  ])('%s is refused', (_what, work, message) =>
    expect(() => work(newApp())).toThrow(
      expect.objectContaining({ code: 'TASK_OPTION_INVALID', message: expect.stringContaining(message) }),
    ),
  )
})

describe('a declared queue', () => {
  it('is listed in app.queues', () => {
    const app = newApp()
    app.queue('ledger', { concurrency: 1 })
    expect([...app.queues]).toEqual([['ledger', { concurrency: 1 }]])
  })

  it.each([[0], [1001], [1.5], [undefined]])('is refused with concurrency %s', (concurrency) =>
    expect(() => newApp().queue('q', { concurrency } as { concurrency: number })).toThrow('the concurrency of queue q'),
  )
})
