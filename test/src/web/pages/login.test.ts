import { describe, expect, test } from 'vitest'
import { createTestWeb } from '../../../support/web-app.ts'

const ENV = { NODE_ENV: 'production', CONSOLE_PASSWORD: 'correct horse' }
const cookieOf = (response: { headers: Record<string, unknown> }) => String(response.headers['set-cookie']).split(';')[0]!

describe('the console with a password', () => {
  test.each(['/', '/schedules', '/schedules/1', '/tasks/tasks.echo/1'])(
    'redirects a browser from %s to the login page and back',
    async (path) => {
      const { statusCode, headers, body } = await createTestWeb(ENV).get(path)
      expect(statusCode).toBe(303)
      expect(headers.location).toBe(path === '/' ? '/login' : `/login?next=${encodeURIComponent(path)}`)
      expect(body).toBe('')
    },
  )

  test('tells a program to send a bearer token', async () => {
    const { statusCode, headers, body } = await createTestWeb(ENV).get('/', { accept: 'application/json' })
    expect(statusCode).toBe(401)
    expect(headers['www-authenticate']).toBe('Bearer realm="onedyno"')
    expect(JSON.parse(body)).toMatchObject({ error: { code: 'NOT_SIGNED_IN' } })
  })

  test('ignores a form that is sent without a session', async () => {
    const web = createTestWeb(ENV)
    expect((await web.form('/', { task: 'tasks.echo', args: '[1]' })).headers.location).toBe('/login')
    expect((await web.form('/', { task: 'tasks.echo', args: '[1]' }, { accept: '*/*' })).statusCode).toBe(401)
    expect(web.sent).toEqual([])
  })

  test('opens all pages after sign-in with the password, until sign-out', async () => {
    const web = createTestWeb(ENV)
    const entered = await web.form('/login', { password: 'correct horse', next: '/schedules?after=a' })
    expect([entered.statusCode, entered.headers.location]).toEqual([303, '/schedules?after=a'])
    const cookie = cookieOf(entered)
    const { statusCode, body } = await web.get('/', { cookie })
    expect(statusCode).toBe(200)
    expect(body).toContain('<form method="post" action="/logout">')
    expect((await web.get('/login?next=/schedules', { cookie })).headers.location).toBe('/schedules')
    const left = await web.form('/logout', {}, { cookie })
    expect([left.statusCode, left.headers.location]).toEqual([303, '/login'])
    expect(cookieOf(left)).toBe('session=')
  })

  test('accepts the password as a bearer token without a session', async () => {
    expect((await createTestWeb(ENV).get('/', { authorization: 'Bearer correct horse' })).statusCode).toBe(200)
  })

  test('shows the login page again after a wrong password, and does not repeat the password', async () => {
    const { statusCode, headers, body } = await createTestWeb(ENV).form('/login', { password: 'guess-1', next: '/schedules' })
    expect(statusCode).toBe(401)
    expect(headers['set-cookie']).toBeUndefined()
    expect(body).toContain('The password is wrong.')
    expect(body).toContain('name="next" value="/schedules"')
    expect(body).not.toContain('guess-1')
  })

  test('refuses the sixth wrong password within a minute, and says when to try again', async () => {
    const web = createTestWeb(ENV)
    for (let i = 0; i < 5; i++) await web.form('/login', { password: 'guess' })
    const { statusCode, headers } = await web.form('/login', { password: 'correct horse' })
    expect([statusCode, headers['retry-after']]).toEqual([429, '60'])
  })

  test.each([
    ['another site', 'https://evil.example/'],
    ['another site by two slashes', '//evil.example/'],
    ['another site by a backslash', '/\\evil.example/'],
    ['another site by a tab', '/\t/evil.example/'],
    ['a javascript: URL', 'javascript:alert(1)'],
    ['a header injection', '/\r\nset-cookie: a=b'],
    ['an empty target', ''],
  ])('does not redirect to %s after sign-in', async (_where, next) => {
    const web = createTestWeb(ENV)
    expect((await web.form('/login', { password: 'correct horse', next })).headers.location).toBe('/')
    expect((await web.get(`/login?next=${encodeURIComponent(next)}`)).body).toContain('name="next" value="/"')
  })

  test('hides the menu before sign-in', async () => {
    expect((await createTestWeb(ENV).get('/login')).body).not.toContain('<nav')
  })

  test('sets a Secure cookie and Strict-Transport-Security on https', async () => {
    const { headers } = await createTestWeb(ENV).form('/login', { password: 'correct horse' }, { 'x-forwarded-proto': 'https' })
    expect(headers['set-cookie']).toMatch(/^__Host-session=.*; Secure$/)
    expect(headers['strict-transport-security']).toBe('max-age=31536000')
  })
})

describe('the console in production without a password', () => {
  test.each(['/', '/login', '/schedules', '/tasks/tasks.echo/1'])(
    '%s is closed, and the page names the variable to set',
    async (path) => {
      const { statusCode, body } = await createTestWeb({ NODE_ENV: 'production' }).get(path)
      expect(statusCode).toBe(503)
      expect(body).toContain('CONSOLE_PASSWORD')
    },
  )

  test('refuses every form', async () => {
    const web = createTestWeb({ NODE_ENV: 'production' })
    expect((await web.form('/', { task: 'tasks.echo', args: '[1]' })).statusCode).toBe(503)
    expect(web.sent).toEqual([])
  })
})

test('a local console without a password has no login page and no logout page', async () => {
  const web = createTestWeb()
  expect((await web.get('/login')).headers.location).toBe('/')
  expect((await web.get('/')).body).not.toContain('/logout')
})

test('the console on a platform redirects plain http to https before any other check', async () => {
  const { statusCode, headers } = await createTestWeb({ ...ENV, DYNO: 'web.1' }).get('/schedules?a=1', {
    host: 'app.example',
    'x-forwarded-proto': 'http',
  })
  expect([statusCode, headers.location]).toEqual([308, 'https://app.example/schedules?a=1'])
})
