import { describe, expect, test } from 'vitest'
import { AppError } from '../../../../src/errors.ts'
import { createTestWeb, unreachable } from '../../../support/web-app.ts'

describe('GET /', () => {
  test('lists every task with its description, and selects the first task with its example', async () => {
    const { statusCode, body } = await createTestWeb().get('/')
    expect(statusCode).toBe(200)
    for (const name of ['tasks.echo', 'tasks.fetch_url', 'onedyno.keep_awake', 'onedyno.clean_up'])
      expect(body).toContain(`<option value="${name}"`)
    expect(body).toMatch(/<textarea[^>]*>\n\[&#34;hi&#34;\]<\/textarea>/)
    expect(body).toContain('<label for="task">')
    expect(body).toContain('<label for="args">')
    expect(body).toContain('<label for="schedule">')
  })

  test('selects the task named in the URL, with its example', async () => {
    const { body } = await createTestWeb().get('/?task=tasks.fetch_url')
    expect(body).toMatch(/<option value="tasks.fetch_url"[^>]* selected>/)
    expect(body).toMatch(/<textarea[^>]*>\n\[&#34;https:\/\/example.org\/&#34;\]<\/textarea>/)
  })

  test('never runs a task on GET, for any query', async () => {
    const web = createTestWeb()
    await web.get('/?task=tasks.echo&args=%5B1%5D&schedule=1+seconds')
    expect(web.sent).toEqual([])
    expect(web.created).toEqual([])
  })

  test('has no inline script or style and stays below 30 kB', async () => {
    const { body } = await createTestWeb().get('/')
    expect(body).not.toMatch(/<style|style=|<script(?![^>]* src=)|\son\w+=/i)
    expect(body.length).toBeLessThan(30_000)
  })
})

describe('POST / without a schedule', () => {
  test('queues the task, stores its id, and redirects to its status page', async () => {
    const web = createTestWeb()
    const { statusCode, headers } = await web.form('/', { task: 'tasks.echo', args: '["hi"]', schedule: '' })
    expect(statusCode).toBe(303)
    const [, id = ''] = /^\/tasks\/tasks\.echo\/([0-9a-f-]{36})$/.exec(String(headers.location)) ?? []
    expect(web.sent).toMatchObject([{ headers: { id, task: 'tasks.echo' }, body: '[["hi"],{},{}]', queue: 'celery' }])
    expect(web.stored.get(id)).toMatchObject({ task: 'tasks.echo', state: 'PENDING' })
    expect((await web.get(String(headers.location))).statusCode).toBe(200)
  })

  test('queues nothing for an invalid value, and shows the form with the typed values and a message at the field', async () => {
    const web = createTestWeb()
    const { statusCode, body } = await web.form('/', {
      task: 'tasks.fetch_url',
      args: '"></textarea><script>',
      schedule: 'x "y"',
    })
    expect(statusCode).toBe(422)
    expect(body).toContain('<title>Error: Run a task')
    expect(body).toMatch(/<option value="tasks.fetch_url"[^>]* selected>/)
    expect(body).toContain('&#34;&#62;&#60;/textarea&#62;&#60;script&#62;</textarea>')
    expect(body).toContain('value="x &#34;y&#34;"')
    expect(body).toMatch(/id="args"[^>]*aria-describedby="args-hint args-problem" aria-invalid="true"/)
    expect(body).toMatch(/<div class="problem" id="args-problem">\s*<p>This is not JSON/)
    expect(body).toContain('<li><a href="#args">This is not JSON')
    expect(body).toMatch(/<div class="problem" id="schedule-problem">/)
    expect(web.sent).toEqual([])
    expect(web.stored.size).toBe(0)
  })

  test('offers each suggestion as a button that submits the whole form', async () => {
    const web = createTestWeb()
    const { body } = await web.form('/', { task: 'tasks.echo', args: '["hi"]', schedule: '0 9 1' })
    const [, fields = ''] = /<form method="post" action="\/" id="schedule-choice-1" hidden>([\s\S]*?)<\/form>/.exec(body) ?? []
    expect(body).toMatch(/<button form="schedule-choice-1"><code>0 9 1 \* \*<\/code> <span>at 09:00 on the 1st of every month/)
    expect(fields).toContain('name="task" value="tasks.echo"')
    expect(fields).toContain('name="args" value="[&#34;hi&#34;]"')
    expect(fields).toContain('name="schedule" value="0 9 1 * *"')
  })

  test('keeps the typed values, reports that nothing was queued and deletes the id while the broker is unreachable', async () => {
    const web = createTestWeb()
    web.fail.publish = unreachable()
    const { statusCode, body } = await web.form('/', { task: 'tasks.echo', args: '["precious"]', schedule: '' })
    expect(statusCode).toBe(503)
    expect(body).toContain('nothing was queued')
    expect(body).toContain('precious')
    expect(body).not.toContain('10.9.8.7')
    expect(web.stored.size).toBe(0)
  })

  test('reports that an unconfirmed message may be queued, and keeps the id of its task', async () => {
    const web = createTestWeb()
    web.fail.publish = new AppError('MESSAGE_UNCONFIRMED', 'Redis at 10.9.8.7 did not answer')
    const { statusCode, body } = await web.form('/', { task: 'tasks.echo', args: '["precious"]', schedule: '' })
    expect(statusCode).toBe(503)
    expect(body).toContain('it may have been queued, or not')
    expect(body).not.toContain('nothing was queued')
    expect(body).not.toContain('10.9.8.7')
    expect(web.stored.size).toBe(1)
  })

  test('redirects to the status page of the task even if the id could not be stored', async () => {
    const web = createTestWeb()
    web.fail.record = new Error('too late')
    expect((await web.form('/', { task: 'tasks.echo', args: '[1]', schedule: '' })).statusCode).toBe(303)
    expect(web.sent).toHaveLength(1)
  })

  test('answers 500 after an internal error, and shows only the request id', async () => {
    const web = createTestWeb()
    web.fail.publish = new TypeError('secret detail')
    const { statusCode, body } = await web.form(
      '/',
      { task: 'tasks.echo', args: '[1]', schedule: '' },
      { 'x-request-id': 'router-request-0001' },
    )
    expect(statusCode).toBe(500)
    expect(body).toContain('router-request-0001')
    expect(body).not.toContain('secret detail')
    expect(body).not.toContain('.ts:')
  })

  test.each([
    ['answers 422 to a field that is sent twice', 'task=tasks.echo&task=tasks.fetch_url&args=%5B1%5D', 422],
    ['answers 422 to an empty form', '', 422],
    ['accepts half a surrogate pair, which JSON allows', 'task=tasks.echo&args=%5B%22%5Cud800%22%5D', 303],
    [
      'ignores fields with the names of properties of every object',
      'task=tasks.echo&args=%5B1%5D&__proto__%5Bx%5D=1&constructor%5Bprototype%5D%5Bx%5D=1',
      303,
    ],
    ['answers 413 to a body over 64 KiB', `task=tasks.echo&args=${'1'.repeat(70_000)}`, 413],
  ])('%s', async (_what, body, status) => {
    expect((await createTestWeb().form('/', body)).statusCode).toBe(status)
  })

  test.each(['multipart/form-data; boundary=x', 'text/plain', 'application/xml'])('refuses a body of type %s', async (type) => {
    expect((await createTestWeb().form('/', 'task=tasks.echo', { 'content-type': type })).statusCode).toBe(415)
  })

  test('refuses a JSON body', async () => {
    expect((await createTestWeb().form('/', '{}', { 'content-type': 'application/json' })).statusCode).toBe(415)
  })
})

describe('POST / with a schedule', () => {
  test('stores the schedule and redirects to its page', async () => {
    const web = createTestWeb()
    const { statusCode, headers } = await web.form('/', { task: 'tasks.echo', args: '["hi"]', schedule: '15 minutes' })
    expect(statusCode).toBe(303)
    expect(headers.location).toBe('/schedules/01a0f3c2-0000-7000-8000-000000000001?new')
    expect(web.created).toEqual([
      { task: 'tasks.echo', args: ['hi'], schedule: expect.objectContaining({ kind: 'interval', every: 15, period: 'minutes' }) },
    ])
    expect(web.sent).toEqual([])
  })

  test('shows a message at the field of the arguments if the database cannot store the arguments', async () => {
    const web = createTestWeb()
    web.fail.create = new AppError('VALUE_NOT_JSON', 'args hold \\u0000')
    const { statusCode, body } = await web.form('/', { task: 'tasks.echo', args: '["\\u0000"]', schedule: '15 minutes' })
    expect(statusCode).toBe(422)
    expect(body).toMatch(/<div class="problem" id="args-problem">\s*<p>args hold \\u0000\./)
  })

  test('keeps the typed values while the database is unreachable', async () => {
    const web = createTestWeb()
    web.fail.create = Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:5432'), { code: 'ECONNREFUSED' })
    const { statusCode, body } = await web.form('/', { task: 'tasks.echo', args: '["precious"]', schedule: '15 minutes' })
    expect(statusCode).toBe(503)
    expect(body).toContain('The database does not answer')
    expect(body).toContain('precious')
  })
})
