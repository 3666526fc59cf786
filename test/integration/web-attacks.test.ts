import { request as httpRequest, type IncomingHttpHeaders } from 'node:http'
import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type AttackCase, type Expected, fill, type Input, loadAttackCases } from '../support/attack-cases.ts'
import { startAttackTargets } from '../support/attack-targets.ts'
import { createTestSchema, type TestSchema } from '../support/database.ts'
import { startTestConsole, type TestConsole } from '../support/web-server.ts'

/** Attacks the console from outside, with a running worker: hostile clients, hostile pages and hostile arguments. */
const PASSWORD = 'correct horse battery staple'
const FORM = 'application/x-www-form-urlencoded'

let schema: TestSchema
let web: TestConsole
let targets: Awaited<ReturnType<typeof startAttackTargets>>
let cookie: string
let values: Record<string, string | number>

beforeAll(async () => {
  schema = await createTestSchema()
  targets = await startAttackTargets()
  web = await startTestConsole(schema, { env: { CONSOLE_PASSWORD: PASSWORD, FETCH_ALLOW: targets.originHost } })
  const { host, port, origin } = new URL(web.url)
  values = {
    canary_host: '127.0.0.1',
    canary_port: targets.canaryPort,
    app_port: port,
    host,
    base: origin,
    password: PASSWORD,
    task_echo: 'tasks.echo',
    task_fetch: 'tasks.fetch_url',
    enqueue: '/',
    home: '/',
    login: '/login',
    api_enqueue: '/api/tasks',
    health: '/healthz',
    allowed_origin: `http://${targets.originHost}`,
  }
  const entered = await send({ method: 'POST', path: '/login', form: { password: PASSWORD } })
  cookie = String(entered.headers['set-cookie']).split(';')[0]!
})
afterAll(async () => {
  await web?.stop()
  await targets?.stop()
  await schema?.drop()
})

const cases = loadAttackCases()

test('the file of attack cases has at least 97 cases', () => {
  expect(cases.length).toBeGreaterThanOrEqual(97)
})

describe('hostile task submissions', () => {
  test.each(of('enqueue'))('$name', async (raw) => {
    const { input, expected } = fill(raw, values)
    const hitsBefore = targets.hits()
    const form = { task: input.task ?? '', args: JSON.stringify(input.args) }
    const posted = await send({ method: 'POST', path: '/', auth: 'session', form })
    const location = posted.headers.location
    const run =
      location === undefined
        ? undefined
        : JSON.parse(
            (await send({ method: 'GET', path: `${location}?wait=20`, auth: 'session', headers: { accept: 'application/json' } }))
              .body,
          )
    const seen = `form ${posted.status}, run ${JSON.stringify(run)?.slice(0, 300)}`
    expect(
      expected.any_of!.some((wanted) => isOutcome(wanted, posted.status, run)),
      seen,
    ).toBe(true)
    if (expected.canary_hits !== undefined) expect(targets.hits() - hitsBefore).toBe(expected.canary_hits)
    if (expected.html_not_contains !== undefined && location !== undefined) {
      const { body } = await send({ method: 'GET', path: location, auth: 'session', headers: { accept: 'text/html' } })
      for (const markup of expected.html_not_contains) expect(body).not.toContain(markup)
      expect(run.result).toBe(input.args![0])
    }
  })
})

describe('hostile requests', () => {
  test.each(of('http'))('$name', async (raw) => {
    const { input, expected } = fill(raw, values)
    const began = performance.now()
    const answer = await send(input)
    if (expected.max_ms !== undefined) expect(performance.now() - began).toBeLessThan(expected.max_ms)
    expectAnswer(expected, answer)
    if (expected.then_health !== undefined)
      expect((await send({ method: 'GET', path: '/healthz' })).status).toBe(expected.then_health)
  })
})

describe('malformed HTTP bytes', () => {
  test.each(of('raw'))('$name', async (raw) => {
    const { input, expected } = fill(raw, values)
    const text = await sendBytes(input.bytes!)
    const statuses = [...text.matchAll(/HTTP\/1\.\d (\d+)/g)].map(([, status]) => Number(status))
    expect(expected.statuses).toContainEqual(statuses)
  })
})

function of(how: AttackCase['how']): AttackCase[] {
  return cases.filter((one) => one.how === how)
}

interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

function isOutcome(
  wanted: NonNullable<Expected['any_of']>[number],
  status: number,
  run: { state: string; result: unknown } | undefined,
): boolean {
  return (
    wanted.status.includes(status) &&
    (wanted.run_state === undefined || wanted.run_state === run?.state) &&
    (wanted.error_matches === undefined || new RegExp(wanted.error_matches, 'i').test(JSON.stringify(run ?? {})))
  )
}

function expectAnswer(expected: Expected, { status, headers, body }: Answer): void {
  if (expected.status !== undefined) expect(expected.status).toContain(status)
  for (const text of expected.body_not_contains ?? []) expect(body).not.toContain(text)
  for (const [name, pattern] of Object.entries(expected.header_matches ?? {})) expect(headers[name]).toMatch(new RegExp(pattern))
  const policy = String(headers['content-security-policy'] ?? '').split(/[\s;]+/)
  for (const word of expected.csp_not_contains ?? []) expect(policy).not.toContain(word)
  if (expected.location_not_matches !== undefined)
    expect(headers.location ?? '').not.toMatch(new RegExp(expected.location_not_matches))
  if (status === 303)
    for (const pattern of expected.set_cookie_matches ?? [])
      expect(String(headers['set-cookie'])).toMatch(new RegExp(pattern, 'i'))
  expect(status === 501 || status < 500, `status ${status}`).toBe(true)
}

/** Uses node:http, because fetch would correct the deliberate mistakes. */
function send(input: Input): Promise<Answer> {
  const { hostname, port, host } = new URL(web.url)
  const { body, type } = bodyOf(input)
  const auth: Record<string, string> =
    input.auth === 'session' ? { cookie } : input.auth === 'bearer' ? { authorization: `Bearer ${PASSWORD}` } : {}
  const headers: Record<string, string | number> = { host, ...auth, ...(type && { 'content-type': type }), ...input.headers }
  if (headers['content-type'] === '') delete headers['content-type']
  if (body !== undefined) headers['content-length'] = Buffer.byteLength(body)
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      { hostname, port, method: input.method ?? 'GET', path: input.path ?? '/', headers, agent: false },
      async (response) => {
        let text = ''
        response.setEncoding('utf8').on('data', (chunk) => {
          text += chunk
        })
        response.on('close', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }))
      },
    )
    // A server that refuses a large body closes the connection early. A missing answer counts as refused.
    request.on('error', (error: NodeJS.ErrnoException) =>
      error.code === 'ECONNRESET' || error.code === 'EPIPE' ? resolve({ status: 413, headers: {}, body: '' }) : reject(error),
    )
    request.end(body)
  })
}

function bodyOf(input: Input): { body: string | undefined; type: string | undefined } {
  if (input.form !== undefined) return { body: new URLSearchParams(input.form).toString(), type: FORM }
  if (input.raw_form !== undefined) return { body: input.raw_form, type: FORM }
  if (input.json !== undefined) return { body: JSON.stringify(input.json), type: 'application/json' }
  if (input.body_repeat !== undefined) return { body: input.body_repeat[0].repeat(input.body_repeat[1]), type: undefined }
  return { body: input.body, type: undefined }
}

/** Collects the answer until the server closes the connection, or until it is silent: it may wait for more of the request. */
function sendBytes(bytes: string): Promise<string> {
  const { hostname, port } = new URL(web.url)
  return new Promise((resolve) => {
    let text = ''
    const socket = connect(Number(port), hostname, () => socket.write(Buffer.from(bytes, 'latin1')))
    socket.setTimeout(1200, () => socket.destroy())
    socket.on('data', (data) => {
      text += data.toString('latin1')
    })
    socket.on('error', () => {})
    socket.on('close', () => resolve(text))
  })
}
