import { describe, expect, test } from 'vitest'
import { createTestWeb } from '../../support/web-app.ts'

const HEADERS = [
  'content-security-policy',
  'x-content-type-options',
  'x-frame-options',
  'referrer-policy',
  'cross-origin-opener-policy',
]

describe('every answer of the console carries the security headers', () => {
  test.each([
    ['a page', '/', 200],
    ['a page that does not exist', '/nope', 404],
    ['health', '/healthz', 200],
    ['an address with an invalid escape', '/%zz', 400],
    ['an address that is too long', `/tasks/x/${'a'.repeat(2000)}`, 414],
  ])('for %s', async (_what, path, status) => {
    const { statusCode, headers } = await createTestWeb().get(path)
    expect(statusCode).toBe(status)
    for (const name of HEADERS) expect(headers, name).toHaveProperty(name)
    expect(headers['content-security-policy']).not.toMatch(/unsafe|\*/)
    expect(headers['cache-control']).toBe('no-store')
  })
})

describe('the asset files of the console', () => {
  const urls = async () => [...(await createTestWeb().get('/')).body.matchAll(/"(\/assets\/[^"]+)"/g)].map(([, url]) => url!)

  test('are cached for ever under a digest of their content, also for clients without a session', async () => {
    const web = createTestWeb({ NODE_ENV: 'production', CONSOLE_PASSWORD: 'x' })
    const found = await urls()
    expect(found.map((url) => url.replace(/\.[0-9a-f]{12}\./, '.'))).toEqual([
      '/assets/icon.svg',
      '/assets/console.css',
      '/assets/console.js',
    ])
    for (const url of found) {
      const { statusCode, headers } = await web.get(url)
      expect(statusCode).toBe(200)
      expect(headers['cache-control']).toBe('public, max-age=31536000, immutable')
      expect(headers['content-type']).toMatch(/css|javascript|svg/)
    }
  })

  test('stay below 12 kB of CSS and 8 kB of JavaScript', async () => {
    const web = createTestWeb()
    const sizes = await Promise.all((await urls()).map(async (url) => (await web.get(url)).body.length))
    expect(sizes[1]).toBeLessThan(12_000)
    expect(sizes[2]).toBeLessThan(8_000)
  })

  test.each([
    '/assets/',
    '/assets/console.css',
    '/assets/..%2f..%2fpackage.json',
    '/assets/%252e%252e%252fpackage.json',
    '/.env',
    '/.git/config',
    '/package.json',
    '/../../etc/passwd',
  ])('do not include %s, which is answered with 404', async (path) => {
    const { statusCode, body } = await createTestWeb().get(path)
    expect(statusCode).toBe(404)
    expect(body).not.toContain('dependencies')
  })
})

test.each(['PUT', 'DELETE', 'PATCH', 'OPTIONS'] as const)('the console answers 404 to %s on a page', async (method) => {
  expect((await createTestWeb().server.inject({ method, url: '/', headers: { host: 'localhost' } })).statusCode).toBe(404)
})

test('the console answers HEAD / with 200 and without a body', async () => {
  const { statusCode, body } = await createTestWeb().server.inject({ method: 'HEAD', url: '/', headers: { host: 'localhost' } })
  expect([statusCode, body]).toEqual([200, ''])
})

test('the console treats paths as case-sensitive', async () => {
  expect((await createTestWeb().get('/SCHEDULES')).statusCode).toBe(404)
})

test('the console uses the request id of the router, and makes a new id if the given id is not valid', async () => {
  const web = createTestWeb()
  web.fail.find = new TypeError('bug')
  const id = async (given: string) =>
    (await web.get('/tasks/a/b', { accept: 'application/json', 'x-request-id': given })).json().error.request_id as string
  expect(await id('4f1b0c7e-1111-2222-3333-444455556666')).toBe('4f1b0c7e-1111-2222-3333-444455556666')
  expect(await id('<script>alert(1)</script>')).toMatch(/^[0-9a-f-]{36}$/)
  expect(await id('short')).toMatch(/^[0-9a-f-]{36}$/)
})

test.each([
  [
    'an unreachable database',
    Object.assign(new Error('connect ECONNREFUSED 10.9.8.7:5432'), { code: 'ECONNREFUSED' }),
    503,
    'DATABASE_UNREACHABLE',
  ],
  ['a broken connection', new Error('Connection terminated unexpectedly'), 503, 'DATABASE_UNREACHABLE'],
  [
    'a standby',
    Object.assign(new Error('cannot execute INSERT in a read-only transaction at 10.9.8.7'), { code: '25006' }),
    503,
    'DATABASE_READ_ONLY',
  ],
  [
    'missing tables',
    Object.assign(new Error('relation "task_result" does not exist'), { code: '42P01' }),
    503,
    'SCHEMA_OUTDATED',
  ],
  ['a bug', new TypeError('x is not a function at 10.9.8.7'), 500, 'INTERNAL_ERROR'],
])('the error page shows an error code and hides the details of %s', async (_what, error, status, code) => {
  const web = createTestWeb()
  web.fail.find = error
  const { statusCode, body } = await web.get('/tasks/a/b', { accept: 'application/json' })
  expect(statusCode).toBe(status)
  expect(JSON.parse(body).error.code).toBe(code)
  expect(body).not.toContain('10.9.8.7')
})
