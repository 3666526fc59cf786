import { describe, expect, test } from 'vitest'
import { type Environment, parseConfig } from '../../../../src/config.ts'
import { createGuard, type RouteKind } from '../../../../src/web/security/guard.ts'

const PASSWORD = 'correct horse'
const LOCAL: Environment = {}
const CLOSED: Environment = { NODE_ENV: 'production' }
const WITH_PASSWORD: Environment = { NODE_ENV: 'production', CONSOLE_PASSWORD: PASSWORD }
const HEROKU: Environment = { DYNO: 'web.1', CONSOLE_PASSWORD: PASSWORD }
const PUBLIC: Environment = { ...WITH_PASSWORD, PUBLIC_URL: 'https://app.example' }

const guardOf = (env: Environment, time = { now: 1_800_000_000_000 }) => createGuard(parseConfig(env), { now: () => time.now })
const request = (
  given: { method?: string; headers?: Record<string, string>; remoteAddress?: string; address?: string } = {},
) => ({
  method: 'GET',
  remoteAddress: '127.0.0.1',
  address: '127.0.0.1',
  ...given,
  headers: { host: 'localhost:5000', ...given.headers },
})
const judge = (env: Environment, given: Parameters<typeof request>[0] = {}, route: RouteKind = 'console') =>
  guardOf(env).judge(request(given), route).kind

describe('access to the console', () => {
  test.each([
    ['is allowed from this machine on a local server without a password', LOCAL, {}, 'pass'],
    ['is allowed from this machine by IPv6 on a local server', LOCAL, { remoteAddress: '::1' }, 'pass'],
    [
      'is refused from another machine of the network on a local server',
      LOCAL,
      { remoteAddress: '192.168.0.7', headers: { host: '192.168.0.2:5000' } },
      'not-local',
    ],
    [
      'is refused from the Internet through a proxy of this machine that sends X-Forwarded-For',
      LOCAL,
      { headers: { 'x-forwarded-for': '203.0.113.9' } },
      'not-local',
    ],
    [
      'is refused from the Internet through a proxy of this machine that sends Forwarded',
      LOCAL,
      { headers: { forwarded: 'for=203.0.113.9' } },
      'not-local',
    ],
    [
      'is allowed from this machine through a development proxy',
      LOCAL,
      { headers: { 'x-forwarded-for': '127.0.0.1, ::1' } },
      'pass',
    ],
    ['is closed to everybody in production without a password', CLOSED, {}, 'closed'],
    [
      'is closed to everybody on a platform without a password',
      { DYNO: 'web.1' },
      { headers: { host: 'app.herokuapp.com' } },
      'closed',
    ],
    ['requires sign-in if a password is set', WITH_PASSWORD, {}, 'sign-in'],
    [
      'is allowed with the password as a bearer token',
      WITH_PASSWORD,
      { headers: { authorization: `Bearer ${PASSWORD}` } },
      'pass',
    ],
    ['requires sign-in with a wrong bearer token', WITH_PASSWORD, { headers: { authorization: 'Bearer wrong' } }, 'sign-in'],
    [
      'requires sign-in with the password by another authorization scheme',
      WITH_PASSWORD,
      { headers: { authorization: `Basic ${PASSWORD}` } },
      'sign-in',
    ],
  ])('%s', (_who, env, given, decision) => {
    expect(judge(env, given)).toBe(decision)
  })

  test('is allowed for health checks with any host, also while the console is closed', () => {
    expect(judge(CLOSED, { headers: { host: '10.0.0.3' }, remoteAddress: '10.0.0.9' }, 'public')).toBe('pass')
  })

  test('is allowed to the login page without a session', () => {
    expect(judge(WITH_PASSWORD, {}, 'login')).toBe('pass')
  })

  test('is closed also to the login page while the console is closed', () => {
    expect(judge(CLOSED, {}, 'login')).toBe('closed')
  })
})

describe('the check of the Host header', () => {
  test.each([
    ['accepts localhost', LOCAL, 'localhost:5000', 'pass'],
    ['accepts a name under localhost', LOCAL, 'app.localhost:5000', 'pass'],
    ['accepts an IP address, because no foreign name can have it', LOCAL, '127.0.0.1:5000', 'pass'],
    ['refuses a foreign name that resolves to this server (DNS rebinding)', LOCAL, 'evil.example:5000', 'wrong-host'],
    ['refuses a missing Host', LOCAL, '', 'wrong-host'],
    ['accepts the public name', PUBLIC, 'app.example', 'sign-in'],
    ['accepts the public name in capitals', PUBLIC, 'APP.example', 'sign-in'],
    ['refuses a foreign name if the public name is known', PUBLIC, 'evil.example', 'wrong-host'],
    [
      'accepts any name on a platform if the public name is unknown, because the password protects the console',
      HEROKU,
      'anything.example',
      'sign-in',
    ],
  ])('%s', (_what, env, host, decision) => {
    expect(judge(env, { headers: { host } })).toBe(decision)
  })
})

describe('the origin check of a form', () => {
  test.each([
    ['accepts a form of this page', { 'sec-fetch-site': 'same-origin' }, 'pass'],
    ['accepts a form from the address bar', { 'sec-fetch-site': 'none' }, 'pass'],
    ['refuses a form of another site', { 'sec-fetch-site': 'cross-site' }, 'cross-site'],
    ['refuses a form of another subdomain', { 'sec-fetch-site': 'same-site' }, 'cross-site'],
    [
      'refuses a form of another site with the Origin of this site',
      { 'sec-fetch-site': 'cross-site', origin: 'http://localhost:5000' },
      'cross-site',
    ],
    ['accepts a form of this page from an old browser', { origin: 'http://localhost:5000' }, 'pass'],
    ['refuses a form of another port from an old browser', { origin: 'http://localhost:9999' }, 'cross-site'],
    ['refuses a form of another site from an old browser', { origin: 'https://evil.example' }, 'cross-site'],
    ['refuses a form of a sandboxed page from an old browser', { origin: 'null' }, 'cross-site'],
    [
      'refuses a form of another site with a forged X-Forwarded-Host',
      { origin: 'https://evil.example', 'x-forwarded-host': 'evil.example' },
      'cross-site',
    ],
    ['accepts a form of a program that is not a browser', {}, 'pass'],
  ])('%s', (_from, headers, decision) => {
    expect(judge(LOCAL, { method: 'POST', headers })).toBe(decision)
  })

  test('accepts the public URL even if a proxy replaced the host', () => {
    const headers = { host: '127.0.0.1:5000', origin: 'https://app.example', authorization: `Bearer ${PASSWORD}` }
    expect(judge(PUBLIC, { method: 'POST', headers })).toBe('pass')
  })

  test('does not apply to a link from another site', () => {
    expect(judge(LOCAL, { headers: { 'sec-fetch-site': 'cross-site' } })).toBe('pass')
  })

  test('applies to the login form', () => {
    expect(
      guardOf(WITH_PASSWORD).judge(request({ method: 'POST', headers: { 'sec-fetch-site': 'cross-site' } }), 'login').kind,
    ).toBe('cross-site')
  })
})

describe('plain http', () => {
  test.each([
    ['is redirected to https on a platform', HEROKU, 'http', 'to-https'],
    ['is redirected to https if the public URL has https', PUBLIC, 'http', 'to-https'],
    ['is accepted if https is not known to be available', WITH_PASSWORD, 'http', 'sign-in'],
    ['is not redirected if a proxy received it by https', HEROKU, 'https', 'sign-in'],
  ])('%s', (_what, env, proto, decision) => {
    expect(judge(env, { headers: { host: 'app.example', 'x-forwarded-proto': proto } })).toBe(decision)
  })
})

describe('a session', () => {
  const headers = (extra: Record<string, string> = {}) => ({ host: 'app.example', 'x-forwarded-proto': 'https', ...extra })
  const cookieOf = (setCookie: string) => setCookie.split(';')[0]!
  const enter = (guard: ReturnType<typeof guardOf>, cookie: string, more: Record<string, string> = {}) =>
    guard.judge(request({ headers: headers({ cookie, ...more }) }), 'console').kind

  test('is valid for twelve hours', () => {
    const time = { now: 1_800_000_000_000 }
    const guard = guardOf(PUBLIC, time)
    const cookie = cookieOf(guard.sessions!.begin(headers()))
    expect(enter(guard, cookie)).toBe('pass')
    expect(enter(guard, `theme=dark; ${cookie}; other=1`)).toBe('pass')
    time.now += 12 * 3600_000 - 1000
    expect(enter(guard, cookie)).toBe('pass')
    time.now += 1000
    expect(enter(guard, cookie)).toBe('sign-in')
  })

  test('is bound to https and this host by its cookie name', () => {
    expect(guardOf(PUBLIC).sessions!.begin(headers())).toMatch(
      /^__Host-session=\d+\.[\w-]{43}; Path=\/; Max-Age=43200; HttpOnly; SameSite=Lax; Secure$/,
    )
  })

  test('uses the plain cookie name without https, because browsers drop a cookie with the prefixed name', () => {
    expect(guardOf(PUBLIC).sessions!.begin({ host: 'localhost:5000' })).toMatch(
      /^session=\d+\.[\w-]{43}; Path=\/; Max-Age=43200; HttpOnly; SameSite=Lax$/,
    )
  })

  test('is invalid after a change of the password', () => {
    const cookie = cookieOf(guardOf({ ...PUBLIC, CONSOLE_PASSWORD: 'former' }).sessions!.begin(headers()))
    expect(enter(guardOf(PUBLIC), cookie)).toBe('sign-in')
  })

  test('is invalid on another host', () => {
    const guard = guardOf(HEROKU)
    const cookie = cookieOf(guard.sessions!.begin(headers()))
    expect(enter(guard, cookie)).toBe('pass')
    expect(enter(guard, cookie, { host: 'evil.example' })).toBe('sign-in')
  })

  test.each([
    ['no value', () => ''],
    ['no signature', (value: string) => value.split('.')[0]!],
    ['a later expiry', (value: string) => `9${value.slice(1)}`],
    ['a changed signature', (value: string) => `${value.slice(0, -1)}${value.endsWith('A') ? 'B' : 'A'}`],
    ['a short signature', (value: string) => value.slice(0, -2)],
    ['an expiry that is not a number', (value: string) => `x${value}`],
    ['a very long value', (value: string) => value + 'a'.repeat(10_000)],
  ])('is invalid with %s', (_what, forge) => {
    const guard = guardOf(PUBLIC)
    const value = cookieOf(guard.sessions!.begin(headers())).slice('__Host-session='.length)
    expect(enter(guard, `__Host-session=${forge(value)}`)).toBe('sign-in')
    expect(enter(guard, `__Host-session=${value}`)).toBe('pass')
  })

  test('ends with an empty, expired cookie', () => {
    expect(guardOf(PUBLIC).sessions!.end(headers())).toBe('__Host-session=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax; Secure')
  })
})

describe('wrong passwords', () => {
  const wrong = (guard: ReturnType<typeof guardOf>, address: string) => guard.tryPassword('guess', address)

  test('are limited to five a minute for each address; at the limit the right password is refused too', () => {
    const time = { now: 1_800_000_000_000 }
    const guard = guardOf(WITH_PASSWORD, time)
    for (let i = 0; i < 5; i++) expect(wrong(guard, '1.1.1.1')).toEqual({ ok: false, retryAfterSeconds: 0 })
    time.now += 10_000
    expect(guard.tryPassword(PASSWORD, '1.1.1.1')).toEqual({ ok: false, retryAfterSeconds: 50 })
    expect(guard.tryPassword(PASSWORD, '2.2.2.2').ok).toBe(true)
    time.now += 50_000
    expect(guard.tryPassword(PASSWORD, '1.1.1.1').ok).toBe(true)
  })

  test('are limited to twenty a minute over all addresses', () => {
    const guard = guardOf(WITH_PASSWORD)
    for (let i = 0; i < 20; i++) expect(wrong(guard, `10.0.0.${i}`).retryAfterSeconds).toBe(0)
    expect(guard.tryPassword(PASSWORD, '10.0.1.1')).toEqual({ ok: false, retryAfterSeconds: 60 })
  })

  test('are counted together for tokens and the login page, and answered with a retry time', () => {
    const guard = guardOf(WITH_PASSWORD)
    const bearer = (token: string) => guard.judge(request({ headers: { authorization: `Bearer ${token}` } }), 'console')
    for (let i = 0; i < 3; i++) expect(bearer('guess').kind).toBe('sign-in')
    for (let i = 0; i < 2; i++) wrong(guard, '127.0.0.1')
    expect(bearer(PASSWORD)).toEqual({ kind: 'too-many', retryAfterSeconds: 60 })
  })

  test('do not end an existing session', () => {
    const guard = guardOf(WITH_PASSWORD)
    const cookie = guard.sessions!.begin({ host: 'localhost:5000' }).split(';')[0]!
    for (let i = 0; i < 5; i++) wrong(guard, '127.0.0.1')
    expect(guard.judge(request({ headers: { cookie } }), 'console').kind).toBe('pass')
  })

  test('are the only passwords that are counted, however many right passwords arrive', () => {
    const guard = guardOf(WITH_PASSWORD)
    for (let i = 0; i < 50; i++) expect(guard.tryPassword(PASSWORD, '1.1.1.1').ok).toBe(true)
  })
})
