import { expect, test } from 'vitest'
import { AppError } from '../../../../src/errors.ts'
import { createTestWeb } from '../../../support/web-app.ts'

const CLOSED = { NODE_ENV: 'production' }
const anyone = { host: '10.1.2.3:5000', accept: '*/*' }

test.each([
  ['/ping', 'pong\n'],
  ['/healthz', 'ok\n'],
  ['/readyz', 'ready\n'],
])('%s answers every client and host, also while the console is closed', async (path, body) => {
  const response = await createTestWeb(CLOSED).get(path, anyone)
  expect([response.statusCode, response.body]).toEqual([200, body])
})

test('/readyz answers 503 with an error code while the database is unreachable, but /healthz answers 200', async () => {
  const web = createTestWeb()
  web.fail.ready = new AppError('DATABASE_UNREACHABLE', 'postgresql://user:***@10.9.8.7/db does not answer')
  const ready = await web.get('/readyz', anyone)
  expect([ready.statusCode, ready.body]).toEqual([503, 'not ready: DATABASE_UNREACHABLE\n'])
  expect((await web.get('/healthz')).statusCode).toBe(200)
})

test('/readyz reuses an answer for one second', async () => {
  const web = createTestWeb()
  await web.get('/readyz')
  web.fail.ready = new AppError('SCHEMA_OUTDATED', 'old')
  expect((await web.get('/readyz')).statusCode).toBe(200)
  web.time.now += 1000
  expect((await web.get('/readyz')).body).toBe('not ready: SCHEMA_OUTDATED\n')
})

test('/readyz hides the details of an internal error', async () => {
  const web = createTestWeb()
  web.fail.ready = new TypeError('secret detail')
  expect((await web.get('/readyz')).body).toBe('not ready: INTERNAL_ERROR\n')
})
