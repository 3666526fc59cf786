import { describe, expect, test } from 'vitest'
import { createTestWeb, NOW, storedResult } from '../../../support/web-app.ts'

const PATH = '/tasks/tasks.echo/run-1'
const failure = (exc_type: string, ...exc_message: unknown[]) => ({ exc_type, exc_message, exc_module: 'errors' })
const withRun = (given: Parameters<typeof storedResult>[0]) => {
  const web = createTestWeb()
  web.stored.set('run-1', storedResult(given))
  return web
}
/** Requests the JSON form. */
const json = async (web: ReturnType<typeof createTestWeb>, path = PATH) => {
  const response = await web.get(path, { accept: 'application/json' })
  return { status: response.statusCode, type: response.headers['content-type'], body: response.json() }
}

describe('the status page', () => {
  test('shows state, result and times of a successful task, without automatic reload', async () => {
    const { statusCode, body } = await withRun({ result: 'hi' }).get(PATH)
    expect(statusCode).toBe(200)
    expect(body).toContain('<title>SUCCESS: tasks.echo')
    expect(body).toMatch(/data-state="SUCCESS" data-ready="true"/)
    expect(body).toContain('<pre tabindex="0">hi</pre>')
    expect(body).toContain('2026-11-22 17:59:57 UTC')
    expect(body).toContain('(3 seconds ago)')
    expect(body).toContain('1.0 s')
    expect(body).toContain('celery@box')
    expect(body).not.toContain('http-equiv="refresh"')
  })

  test.each(['PENDING', 'RECEIVED', 'STARTED', 'RETRY'] as const)(
    'of a task in the state %s reloads itself if scripts are off',
    async (state) => {
      const { body } = await withRun({ state, doneAt: null }).get(PATH)
      expect(body).toContain('<noscript><meta http-equiv="refresh" content="2"></noscript>')
      expect(body).toMatch(new RegExp(`data-state="${state}" data-ready="false"`))
    },
  )

  test('shows the error of a failed task, with a folded traceback', async () => {
    const { body } = await withRun({
      state: 'FAILURE',
      result: failure('TypeError', 'no <b>luck</b>'),
      traceback: 'TypeError: no luck\n  at x',
    }).get(PATH)
    expect(body).toContain('<h2 id="error-title">TypeError</h2>')
    expect(body).toContain('no &#60;b&#62;luck&#60;/b&#62;')
    expect(body).toMatch(/<details><summary>Traceback<\/summary><pre tabindex="0">TypeError/)
  })

  test('shows progress, log and a revoke form while a task runs', async () => {
    const web = withRun({ state: 'STARTED', doneAt: null, progress: { n: 3, of: 10, note: 'pages' } })
    web.lines.push({ retries: 0, level: 40, at_ms: NOW.getTime(), message: '<b> is slow\u001b[31m', fields: '{"ms":7}' })
    const { body } = await web.get(PATH)
    expect(body).toContain('<progress value="3" max="10">3 of 10</progress> 3 of 10')
    expect(body).toContain('pages')
    expect(body).toContain('18:00:00.000 warn  &#60;b&#62; is slow {&#34;ms&#34;:7}')
    expect(body).toContain(`<form method="post" action="${PATH}/revoke">`)
    expect((await web.form(`${PATH}/revoke`, { terminate: 'on' })).headers.location).toBe(`${PATH}?revoked`)
    expect(web.revoked).toEqual([{ unwanted: { ids: ['run-1'] }, terminate: true }])
  })

  test('shows the last log lines, and all lines on request', async () => {
    const web = withRun({ state: 'STARTED', doneAt: null })
    for (let n = 1; n <= 201; n++)
      web.lines.push({ retries: 0, level: 30, at_ms: NOW.getTime(), message: `line ${n}.`, fields: null })
    const { body } = await web.get(PATH)
    expect(body).not.toContain('line 1.')
    expect(body).toContain('line 2.')
    expect(body).toContain(`The last 200 lines. <a href="${PATH}?log=all#log-title">`)
    const all = (await web.get(`${PATH}?log=all`)).body
    expect(all).toContain('line 1.')
    expect(all).not.toContain('The last')
    // The revision does not depend on the number of lines shown.
    const revision = (text: string) => /data-revision="([^"]*)"/.exec(text)?.[1]
    expect(revision(all)).toBe(revision(body))
    web.lines.pop()
    expect((await web.get(PATH)).body).not.toContain('The last')
  })

  test('shows the time of the next attempt, and links parent and child tasks', async () => {
    const nextAt = new Date(NOW.getTime() + 60_000)
    const web = withRun({
      state: 'RETRY',
      doneAt: null,
      retries: 1,
      nextAt,
      children: ['run-2', { group: 'g' }],
      parentId: 'run-0',
    })
    web.stored.set('run-2', storedResult({ id: 'run-2', task: 'tasks.fail' }))
    const { body } = await web.get(PATH)
    expect(body).toContain('(in 1 minute)')
    expect(body).toContain('<a href="/runs/run-2"><code>run-2</code></a>')
    expect(body).toContain('group <code>g</code>')
    expect(body).toContain('<a href="/runs/run-0">')
    expect((await web.get('/runs/run-2')).headers.location).toBe('/tasks/tasks.fail/run-2')
    expect((await web.get('/runs/run-0')).statusCode).toBe(404)
  })

  test('shows a queued task that has no stored result', async () => {
    const web = createTestWeb()
    web.located.set('run-1', {
      task: 'tasks.echo',
      state: 'PENDING',
      queue: 'celery',
      dueAt: new Date(NOW.getTime() + 3_600_000),
    })
    expect((await web.get(PATH)).body).toContain('(in 1 hour)')
    expect((await json(web)).body).toMatchObject({
      state: 'PENDING',
      ready: false,
      due_at: '2026-11-22T19:00:00.000Z',
      created_at: null,
    })
  })

  test.each(['before', 'after'])(
    'shows the result of a run that ends after the first query and %s the second query',
    async (when) => {
      const web = createTestWeb()
      const ended = storedResult({ result: 'hi' })
      web.located.get = () => {
        web.stored.set('run-1', ended)
        return when === 'before' ? undefined : { task: ended.task, state: ended.state, queue: 'celery', dueAt: null }
      }
      expect(await json(web)).toMatchObject({ status: 200, body: { state: 'SUCCESS', result: 'hi' } })
      web.stored.clear()
      expect((await web.get('/runs/run-1')).headers.location).toBe(PATH)
    },
  )

  test.each([
    ['an unknown id', '/tasks/tasks.echo/run-2'],
    ['the name of another task', '/tasks/tasks.fetch_url/run-1'],
    ['a NUL', '/tasks/tasks.echo/%00'],
    ['an id that is too long', `/tasks/tasks.echo/${'a'.repeat(256)}`],
    ['SQL', "/tasks/tasks.echo/1'%20OR%20'1'='1"],
  ])('answers 404 for %s', async (_what, path) => {
    const web = withRun({})
    expect((await web.get(path)).statusCode).toBe(404)
    expect(await json(web, path)).toMatchObject({ status: 404, body: { error: { code: 'RUN_UNKNOWN' } } })
  })

  test.each([
    ['a parameter that is far too long', `/tasks/tasks.echo/${'a'.repeat(2000)}`, 414],
    ['a broken escape', '/tasks/%zz/x', 400],
  ])('refuses %s with all security headers, and does not repeat the refused address', async (_what, path, status) => {
    const { statusCode, headers, body } = await createTestWeb().get(path)
    expect(statusCode).toBe(status)
    expect(headers['content-security-policy']).toContain("frame-ancestors 'none'")
    expect(body).not.toContain('%zz')
    expect(body).not.toContain('aaaa')
  })
})

describe('the status page as JSON', () => {
  test('returns the result unchanged', async () => {
    expect(await json(withRun({ result: [200, { a: '<b>' }] }))).toEqual({
      status: 200,
      type: 'application/json; charset=utf-8',
      body: {
        id: 'run-1',
        task: 'tasks.echo',
        state: 'SUCCESS',
        ready: true,
        args: null,
        result: [200, { a: '<b>' }],
        error: null,
        queue: 'celery',
        worker: 'celery@box',
        retries: 0,
        progress: null,
        children: [],
        parent_id: null,
        revision: 'SUCCESS 0   0 ',
        log: [],
        due_at: null,
        created_at: '2026-11-22T17:59:55.000Z',
        started_at: '2026-11-22T17:59:56.000Z',
        done_at: '2026-11-22T17:59:57.000Z',
      },
    })
  })

  test.each([
    ['one argument', failure('ValueError', 'bad'), { type: 'ValueError', message: 'bad' }],
    ['several arguments', failure('OSError', 2, 'missing'), { type: 'OSError', message: '2, missing' }],
    ['no argument', failure('KeyboardInterrupt'), { type: 'KeyboardInterrupt', message: '' }],
    ['an unknown format', 'just text', { type: 'Error', message: '' }],
  ])('shows the type and the message of an error with %s', async (_what, result, error) => {
    expect((await json(withRun({ state: 'FAILURE', result, traceback: 'stack' }))).body).toMatchObject({
      ready: true,
      result: null,
      error: { ...error, traceback: 'stack' },
    })
  })

  test('is also available by ?format=json', async () => {
    expect((await withRun({}).get(`${PATH}?format=json`)).json()).toMatchObject({ state: 'SUCCESS' })
  })
})

describe('?wait=', () => {
  const ask = (web: ReturnType<typeof createTestWeb>, seconds: string) => json(web, `${PATH}?wait=${seconds}`)

  test('delays the answer until the task has ended', async () => {
    const web = withRun({ state: 'STARTED', doneAt: null })
    const answer = ask(web, '20')
    await expect.poll(() => web.waiters.length).toBe(1)
    web.stored.set('run-1', storedResult({ result: 'late' }))
    web.waiters[0]!()
    expect((await answer).body).toMatchObject({ state: 'SUCCESS', result: 'late' })
  })

  test('answers with the current state when the time is over', async () => {
    expect((await ask(withRun({ state: 'STARTED', doneAt: null }), '0.05')).body).toMatchObject({
      state: 'STARTED',
      ready: false,
    })
  })

  test('answers at once for a task that has ended', async () => {
    const web = withRun({})
    await ask(web, '20')
    expect(web.waiters).toEqual([])
  })

  test.each(['abc', '-1', 'NaN', '', 'Infinity'])('is ignored if its value is %j', async (seconds) => {
    const web = withRun({ state: 'STARTED', doneAt: null })
    expect((await ask(web, seconds)).body).toMatchObject({ state: 'STARTED' })
    expect(web.waiters).toEqual([])
  })

  test('stops waiting when the client disconnects', async () => {
    const web = withRun({ state: 'STARTED', doneAt: null })
    const url = await web.server.listen({ host: '127.0.0.1', port: 0 })
    const leaving = new AbortController()
    const asking = fetch(`${url}${PATH}?wait=20`, { signal: leaving.signal })
    await expect.poll(() => web.waitSignals.length).toBe(1)
    leaving.abort()
    await expect(asking).rejects.toThrow()
    await expect.poll(() => web.waitSignals[0]!.aborted).toBe(true)
  })

  test('answers at once when the server closes', async () => {
    const web = withRun({ state: 'STARTED', doneAt: null })
    const answer = ask(web, '20')
    await expect.poll(() => web.waiters.length).toBe(1)
    await Promise.all([web.server.close(), expect(answer).resolves.toMatchObject({ body: { state: 'STARTED' } })])
  })
})

test.each([
  ['<script>window.__xss=1</script>', /<script>window/],
  ['"><img src=x onerror=window.__xss=1>', /<img/],
  ['</textarea><svg onload=window.__xss=1>', /<svg/],
  ['<a href="javascript:window.__xss=1">x</a>', /href="javascript/],
  ['</pre></section><h1>', /<\/pre><\/section><h1>/],
])('the status page escapes the result %s', async (result, markup) => {
  const { body } = await withRun({ result }).get(PATH)
  expect(body).not.toMatch(markup)
  expect((await json(withRun({ result }))).body.result).toBe(result)
})

test('the status page escapes markup in every field of a failed run', async () => {
  const evil = '<img src=x onerror=alert(1)>'
  const web = createTestWeb()
  web.stored.set(
    evil,
    storedResult({
      id: evil,
      task: evil,
      queue: evil,
      worker: evil,
      state: 'FAILURE',
      result: failure(evil, evil),
      traceback: evil,
    }),
  )
  const { statusCode, body } = await web.get(`/tasks/${encodeURIComponent(evil)}/${encodeURIComponent(evil)}`)
  expect(statusCode).toBe(200)
  expect(body).not.toContain('<img')
})

test('the status page removes terminal control characters from a result', async () => {
  expect((await withRun({ result: '\u001b[31mred\u001b[0m' }).get(PATH)).body).toContain('<pre tabindex="0">red</pre>')
})
