import { connect, createServer } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createTestSchema, query, type TestSchema } from '../support/database.ts'
import { until } from '../support/until.ts'
import { getJson, postForm, startTestConsole, type TestConsole } from '../support/web-server.ts'

let schema: TestSchema
let web: TestConsole | undefined

beforeEach(async () => {
  schema = await createTestSchema()
})
afterEach(async () => {
  await web?.stop()
  web = undefined
  await schema.drop()
})

describe('the console with a real database and a real worker', () => {
  test('runs a task and shows SUCCESS and the result on its page', async () => {
    web = await startTestConsole(schema)
    const posted = await postForm(web.url, { task: 'tasks.echo', args: '["hi"]', schedule: '' })
    expect(posted.status).toBe(303)
    const page = `${web.url}${posted.headers.get('location')}`
    expect(await getJson(`${page}?wait=10`)).toMatchObject({
      state: 'SUCCESS',
      ready: true,
      result: 'hi',
      error: null,
      worker: 'celery@test',
    })
    const html = await (await fetch(page)).text()
    expect(html).toContain('data-state="SUCCESS"')
    expect(html).toContain('<pre tabindex="0">hi</pre>')
  })

  test('shows a task before a worker has received it', async () => {
    web = await startTestConsole(schema, { worker: false })
    const posted = await postForm(web.url, { task: 'tasks.echo', args: '["hi"]', schedule: '' })
    expect(await getJson(`${web.url}${posted.headers.get('location')}`)).toMatchObject({
      state: 'PENDING',
      ready: false,
      queue: 'celery',
    })
  })

  test('shows the error of a failed task', async () => {
    web = await startTestConsole(schema)
    const posted = await postForm(web.url, { task: 'tasks.fetch_url', args: '["http://127.0.0.1:1/"]', schedule: '' })
    expect(await getJson(`${web.url}${posted.headers.get('location')}?wait=10`)).toMatchObject({
      state: 'FAILURE',
      result: null,
      error: { type: 'URL_REFUSED', message: expect.stringContaining('not allowed') },
    })
  })

  test('accepts every text that JSON can express as an argument', async () => {
    web = await startTestConsole(schema)
    const texts = [
      '</textarea><svg onload=x>',
      "'); DROP TABLE schedule; --",
      '\u0000',
      '\ud800',
      '𝄞 é 漢',
      '\u001b[31m',
      'a\nb\r\nc',
      '$1 {{7*7}} <%= 7*7 %>',
    ]
    for (const text of texts) {
      const posted = await postForm(web.url, { task: 'tasks.echo', args: JSON.stringify([text]), schedule: '' })
      expect(posted.status, JSON.stringify(text)).toBe(303)
      expect(await getJson(`${web.url}${posted.headers.get('location')}?wait=10`), JSON.stringify(text)).toMatchObject({
        state: 'SUCCESS',
        result: text,
      })
    }
  })

  test('stores a schedule and shows its page', async () => {
    web = await startTestConsole(schema, { worker: false })
    const posted = await postForm(web.url, { task: 'tasks.echo', args: '["hi"]', schedule: '0 9 * * 1-5 Europe/Berlin' })
    expect(posted.headers.get('location')).toMatch(/^\/schedules\/[0-9a-f-]{36}\?new$/)
    const html = await (await fetch(`${web.url}${posted.headers.get('location')}`)).text()
    expect(html).toContain('At 09:00 on Monday to Friday (Europe/Berlin)')
    expect(html.match(/<li><time datetime="[^"]+T0[78]:00:00\.000Z">/g)).toHaveLength(3)
    expect(await (await fetch(`${web.url}/schedules`)).text()).toContain('at 09:00 on Monday to Friday')
  })

  test.each(['["\\u0000"]', '["\\ud800"]', '[{"\\u0000": 1}]'])(
    'stores the arguments %s in a schedule or reports an error at their field',
    async (args) => {
      web = await startTestConsole(schema, { worker: false })
      const posted = await postForm(web.url, { task: 'tasks.echo', args, schedule: '15 minutes' })
      expect([303, 422]).toContain(posted.status)
      if (posted.status === 422) expect(await posted.text()).toContain('id="args-problem"')
    },
  )

  test('answers 503 and keeps the typed values while the database is away', async () => {
    const nobody = await freePort()
    web = await startTestConsole(schema, {
      worker: false,
      env: { DATABASE_URL: `postgresql://postgres@127.0.0.1:${nobody}/test`, PUBLISH_TIMEOUT: '0' },
    })
    expect(await (await fetch(`${web.url}/healthz`)).text()).toBe('ok\n')
    const ready = await fetch(`${web.url}/readyz`)
    expect([ready.status, await ready.text()]).toEqual([503, 'not ready: DATABASE_UNREACHABLE\n'])
    for (const schedule of ['', '15 minutes']) {
      const posted = await postForm(web.url, { task: 'tasks.echo', args: '["precious"]', schedule })
      expect(posted.status).toBe(503)
      expect(await posted.text()).toContain('precious')
    }
    expect((await fetch(`${web.url}/schedules`)).status).toBe(503)
  })

  test('is not ready before the tables of the schema exist', async () => {
    const empty = await createTestSchema({ migrated: false })
    try {
      web = await startTestConsole(empty, { worker: false })
      const ready = await fetch(`${web.url}/readyz`)
      expect([ready.status, await ready.text()]).toEqual([503, 'not ready: SCHEMA_OUTDATED\n'])
    } finally {
      await web?.stop()
      await empty.drop()
    }
  })

  test('is ready if the database answers and the tables exist', async () => {
    web = await startTestConsole(schema, { worker: false })
    const ready = await fetch(`${web.url}/readyz`)
    expect([ready.status, await ready.text()]).toEqual([200, 'ready\n'])
  })
})

describe('the web server', () => {
  test('names the port in its error if the port is already in use', async () => {
    const other = createServer().listen(0, '127.0.0.1')
    await new Promise((resolve) => other.once('listening', resolve))
    const { port } = other.address() as { port: number }
    try {
      await expect(startTestConsole(schema, { worker: false, env: { PORT: String(port) } })).rejects.toMatchObject({
        code: 'PORT_IN_USE',
        message: expect.stringContaining(String(port)),
      })
    } finally {
      await new Promise((resolve) => other.close(resolve))
    }
  })

  test('reports a HOST that is not an address of this machine', async () => {
    await expect(startTestConsole(schema, { worker: false, env: { HOST: 'no-such-host.invalid' } })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
    })
  })

  test('answers pending long polls when it stops, and ends at once', async () => {
    web = await startTestConsole(schema, { worker: false })
    const { id } = await web.app.sendTask('tasks.echo', ['hi'])
    const waiting = getJson(`${web.url}/tasks/tasks.echo/${id}?wait=20`)
    await until('the wait to begin, which listens', async () => {
      const listening =
        "SELECT 1 FROM pg_stat_activity WHERE application_name = 'onedyno web listen' AND query LIKE 'LISTEN%' || $1 || '%'"
      return (await query(schema.url, listening, [schema.schema])).length > 0
    })
    const asked = performance.now()
    web.stopWeb()
    await web.ended
    expect(await waiting).toMatchObject({ state: 'PENDING' })
    expect(performance.now() - asked).toBeLessThan(2000)
  })

  test('cuts unfinished requests when it stops, within the shutdown timeout', async () => {
    web = await startTestConsole(schema, { worker: false, env: { SHUTDOWN_TIMEOUT: '3' } })
    const { port } = new URL(web.url)
    const socket = connect(Number(port), '127.0.0.1')
    const closed = new Promise((resolve) => socket.once('close', resolve))
    socket.on('error', () => {})
    await new Promise((resolve) =>
      socket.write(
        'POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\nhalf',
        resolve,
      ),
    )
    await fetch(`${web.url}/ping`)
    const asked = performance.now()
    web.stopWeb()
    await web.ended
    await closed
    expect(performance.now() - asked).toBeLessThan(2500)
  })

  test('keeps idle connections open longer than the router of Heroku does', async () => {
    web = await startTestConsole(schema, { worker: false })
    expect((await fetch(`${web.url}/ping`)).headers.get('keep-alive')).toBe('timeout=95')
  })
})

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}
