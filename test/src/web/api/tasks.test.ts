import { describe, expect, test } from 'vitest'
import { createTestWeb, unreachable } from '../../../support/web-app.ts'

const post = (web: ReturnType<typeof createTestWeb>, payload: unknown, headers: Record<string, string> = {}) =>
  web.server.inject({
    method: 'POST',
    url: '/api/tasks',
    headers: { host: 'localhost', 'content-type': 'application/json', ...headers },
    payload: typeof payload === 'string' ? payload : JSON.stringify(payload),
  })

describe('POST /api/tasks', () => {
  test('queues a task and answers 202 with id and URL', async () => {
    const web = createTestWeb()
    const { statusCode, headers, body } = await post(web, { task: 'tasks.echo', args: ['hi'] })
    expect(statusCode).toBe(202)
    const { id, url } = JSON.parse(body)
    expect(url).toBe(`/tasks/tasks.echo/${id}`)
    expect(headers.location).toBe(url)
    expect(web.sent[0]!.headers.id).toBe(id)
  })

  test('schedules a task and answers 201 with id, description and the next three runs', async () => {
    const { statusCode, body } = await post(createTestWeb(), { task: 'tasks.echo', args: ['hi'], schedule: '15 minutes' })
    expect(statusCode).toBe(201)
    expect(JSON.parse(body)).toEqual({
      id: '01a0f3c2-0000-7000-8000-000000000001',
      url: '/schedules/01a0f3c2-0000-7000-8000-000000000001',
      schedule: expect.stringContaining('every 15 minutes'),
      next_runs: ['2026-11-22T18:15:00.000Z', '2026-11-22T18:30:00.000Z', '2026-11-22T18:45:00.000Z'],
    })
  })

  test.each([
    ['an unknown task', { task: 'os.system', args: ['id'] }, 'task'],
    ['the name of a property of every object', { task: 'constructor', args: [1] }, 'task'],
    ['a missing task', {}, 'task'],
    ['a task that is not a string', { task: ['tasks.echo'] }, 'task'],
    ['arguments that are not a list', { task: 'tasks.echo', args: { a: 1 } }, 'args'],
    ['too many arguments', { task: 'tasks.fetch_url', args: ['http://a/', 2] }, 'args'],
    ['a schedule that is not a string', { task: 'tasks.echo', args: [1], schedule: 5 }, 'schedule'],
    ['a schedule that can be read in two ways', { task: 'tasks.echo', args: [1], schedule: '0 9 1' }, 'schedule'],
  ])('answers 422 and names the field for %s', async (_what, payload, field) => {
    const web = createTestWeb()
    const { statusCode, body } = await post(web, payload)
    expect(statusCode).toBe(422)
    expect(JSON.parse(body).error.problems).toContainEqual(expect.objectContaining({ field }))
    expect(web.sent).toEqual([])
  })

  test('offers both readings of an ambiguous schedule', async () => {
    const { body } = await post(createTestWeb(), { task: 'tasks.echo', args: [1], schedule: '0 9 1' })
    expect(JSON.parse(body).error.problems[0].suggestions).toEqual(['0 9 * * 1', '0 9 1 * *'])
  })

  test.each([
    ['an empty body', '', 400],
    ['a list', '[1,2]', 400],
    ['a JSON string', '"hi"', 400],
    ['a body that is not JSON', '{', 400],
    ['the key __proto__', '{"task":"tasks.echo","args":[1],"__proto__":{"x":1}}', 400],
    ['the key __proto__ with an escaped character', '{"task":"tasks.echo","args":[1],"\\u005f_proto__":{"x":1}}', 400],
    ['more than 64 KiB', JSON.stringify({ task: 'tasks.echo', args: ['a'.repeat(70_000)] }), 413],
  ])('refuses %s', async (_what, payload, status) => {
    const { statusCode, body } = await post(createTestWeb(), payload)
    expect(statusCode).toBe(status)
    expect(JSON.parse(body)).toHaveProperty('error.code')
  })

  test('refuses a body whose content type is not JSON', async () => {
    expect(
      (await post(createTestWeb(), 'task=tasks.echo', { 'content-type': 'application/x-www-form-urlencoded' })).statusCode,
    ).toBe(400)
    expect((await post(createTestWeb(), 'x', { 'content-type': 'text/plain' })).statusCode).toBe(415)
  })

  test('answers 503 with the error code while the broker is unreachable', async () => {
    const web = createTestWeb()
    web.fail.publish = unreachable()
    const { statusCode, body } = await post(web, { task: 'tasks.echo', args: [1] })
    expect(statusCode).toBe(503)
    expect(JSON.parse(body).error).toMatchObject({
      code: 'BROKER_UNREACHABLE',
      hint: expect.stringContaining('Nothing was queued'),
    })
  })

  test('requires the password of the console, if there is a password, as a bearer token', async () => {
    const web = createTestWeb({ NODE_ENV: 'production', CONSOLE_PASSWORD: 'pw' })
    expect((await post(web, { task: 'tasks.echo', args: [1] })).statusCode).toBe(401)
    expect((await post(web, { task: 'tasks.echo', args: [1] }, { authorization: 'Bearer pw' })).statusCode).toBe(202)
    expect(web.sent).toHaveLength(1)
  })
})
