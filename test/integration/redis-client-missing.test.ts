import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Checkout, createCheckout } from '../support/checkout.ts'
import { createTestSchema, type TestSchema } from '../support/database.ts'

const MISSING = 'Redis is the broker (REDIS_URL is set), but the package ioredis is not installed'
const HINT = 'hint: Install it beside onedyno: `npm install ioredis`. If this Redis is only a cache, set ONEDYNO_BROKER=postgres.'
const SENDS = `import { createApp } from './src/index.ts'
const app = createApp()
await app.enqueue([{ task: 'tasks.echo', args: [1] }]).catch((error) => console.log(error.code, error.exit))
await app.close()`

describe('without the package ioredis', () => {
  let checkout: Checkout
  let schema: TestSchema
  let env: Record<string, string>
  beforeAll(async () => {
    checkout = await createCheckout({ without: ['ioredis'] })
    schema = await createTestSchema()
    // Nothing listens on port 1: the package is looked for before any connection is made.
    env = { ...schema.env, REDIS_URL: 'redis://127.0.0.1:1', PORT: '0' }
  })
  afterAll(async () => {
    await checkout.drop()
    await schema.drop()
  })

  test.each(['web', 'worker', 'beat'])('%s ends with code 78 at its start and says what to install', async (role) => {
    const { code, stdout, stderr } = await checkout.onedyno(env, role)
    expect({ code, stderr }).toEqual({ code: 78, stderr: `error: ${MISSING}\n${HINT}\n` })
    expect(stdout).not.toMatch(/ready|listens/)
  })

  test('check ends with code 78 before anything starts', async () => {
    await writeFile(join(checkout.folder, 'Procfile.real'), 'worker: onedyno worker\n')
    const { code, stderr } = await checkout.onedyno(
      { ...env, PORT: '5000' },
      'check',
      '-d',
      checkout.folder,
      '-f',
      'Procfile.real',
    )
    expect(code).toBe(78)
    expect(stderr).toContain(MISSING)
    expect(stderr).toContain(HINT)
  })

  test('a program that uses the library gets the error code from its first call', async () => {
    expect(await checkout.script(env, SENDS)).toMatchObject({ code: 0, stdout: 'BROKER_CLIENT_MISSING 78\n' })
  })

  test("a Redis for Celery's results needs the package too", async () => {
    const mirror = { ...schema.env, RESULT_MIRROR: 'redis://127.0.0.1:1/0' }
    const { code, stderr } = await checkout.onedyno(mirror, 'worker')
    expect(code).toBe(78)
    expect(stderr).toContain('RESULT_MIRROR names a Redis, but the package ioredis is not installed')
  })

  test('with ONEDYNO_BROKER=postgres the package is not needed, because Redis is only a cache', async () => {
    const worker = await checkout.startRole('worker', { ...env, ONEDYNO_BROKER: 'postgres' })
    worker.kill('SIGTERM')
    expect(await worker.exited).toBe(0)
  })
})

test.each([
  [{}, '(REDIS_URL is set; if this Redis is only a cache, set ONEDYNO_BROKER=postgres)'],
  [{ ONEDYNO_BROKER: 'redis' }, '(REDIS_URL is set)'],
])('check explains how to use Redis only as a cache, unless the broker is chosen: %j', async (chosen, said) => {
  const checkout = await createCheckout()
  try {
    const env = { REDIS_URL: 'redis://:secret@cache:6379/1', DATABASE_URL: 'postgres://db/x', ...chosen }
    await writeFile(join(checkout.folder, 'Procfile.real'), 'worker: onedyno worker\n')
    const { code, stderr } = await checkout.onedyno(env, 'check', '-d', checkout.folder, '-f', 'Procfile.real')
    expect(code).toBe(0)
    expect(stderr).toContain(`Broker: redis redis://:***@cache:6379/1 ${said}\n`)
  } finally {
    await checkout.drop()
  }
})
