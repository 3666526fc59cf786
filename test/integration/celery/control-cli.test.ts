import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { createCeleryAmqp } from '../../support/celery-amqp.ts'
import { createTestSchema, type TestSchema } from '../../support/database.ts'
import { lacks } from '../../support/lacks.ts'
import { createTestVhost } from '../../support/rabbit.ts'
import { type RoleProcess, startRole } from '../../support/role.ts'
import { until } from '../../support/until.ts'

const MAIN = join(import.meta.dirname, '../../../dist/src/main.js')

/** One `onedyno` command with nothing but `env`. */
function onedyno(env: Record<string, string>, ...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const { PATH = '', HOME = '' } = process.env
  return new Promise((resolve) => {
    execFile(process.execPath, [MAIN, ...args], { env: { PATH, HOME, ...env } }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? 1), stdout, stderr })
    })
  })
}

interface Place {
  /** Of the worker, and of the command that asks it. */
  readonly env: Record<string, string>
  close(): Promise<void>
}

const postgres = async (): Promise<Place> => ({ env: {}, close: async () => {} })

async function rabbit(): Promise<Place> {
  const vhost = await createTestVhost(inject('amqpUrl')!)
  return { env: { CLOUDAMQP_URL: vhost.url }, close: () => vhost.drop() }
}

async function redis(): Promise<Place> {
  const url = `${inject('redisUrl')}/14`
  const queue = `test_${randomBytes(6).toString('hex')}`
  const close = async () => {
    const client = new Redis(url)
    const keys = await client.keys(`*${queue}*`)
    if (keys.length > 0) await client.del(keys)
    await client.quit()
  }
  return { env: { REDIS_URL: url, QUEUES: queue }, close }
}

const PLACES = [
  ['PostgreSQL', 'postgres', postgres],
  ['RabbitMQ', 'amqp', rabbit],
  ['Redis', 'redis', redis],
] as const

for (const [server, kind, open] of PLACES)
  describe.skipIf(lacks(kind))(`onedyno inspect and control on ${server}`, () => {
    const name = `celery@${randomBytes(6).toString('hex')}`
    let schema: TestSchema
    let place: Place
    let worker: RoleProcess
    let env: Record<string, string>

    beforeAll(async () => {
      schema = await createTestSchema()
      place = await open()
      env = kind === 'postgres' ? schema.env : place.env
      worker = await startRole('worker', { ...schema.env, ...place.env }, ['-n', name, '-c', '3'])
      await until('it answers', async () => (await onedyno(env, 'inspect', 'ping', '-d', name)).code === 0)
    })
    afterAll(async () => {
      worker?.kill('SIGKILL')
      await worker?.exited
      await place?.close()
      await schema?.drop()
    })

    const inspect = async (...args: string[]) => {
      const { stdout, stderr } = await onedyno(env, 'inspect', '-j', '-t', '5', '-d', name, ...args)
      expect(stderr).toBe('')
      return (JSON.parse(stdout) as Record<string, unknown>)[name]
    }

    it('print the name and the answer of each worker', async () => {
      const { code, stdout } = await onedyno(env, 'inspect', 'ping', '-d', name)
      expect({ code, stdout }).toEqual({ code: 0, stdout: `->  ${name}: OK\n    pong\n\n1 node online.\n` })
    })

    it('show statistics and settings without secrets', async () => {
      expect(await inspect('stats')).toMatchObject({
        pid: worker.pid,
        pool: { 'max-concurrency': 3 },
        broker: { transport: kind },
      })
      expect(JSON.stringify(await inspect('conf'))).not.toMatch(/guest:guest/)
      expect(await inspect('registered')).toContain('onedyno.clean_up')
    })

    it('receive answers that do not fit into one NOTIFY', async () => {
      const ids = Array.from({ length: 400 }, () => randomBytes(18).toString('hex'))
      const { code } = await onedyno(env, 'control', 'revoke', '-d', name, ...ids.slice(0, 100))
      expect(code).toBe(0)
      for (const at of [100, 200, 300]) await onedyno(env, 'control', 'revoke', '-d', name, ...ids.slice(at, at + 100))
      expect(await inspect('revoked')).toEqual(ids)
    })

    it('exit with 1 if a worker refuses, 64 for an unknown method, 69 if no worker answers', async () => {
      const refused = await onedyno(env, 'control', 'pool_shrink', '50', '-d', name)
      expect(refused.code).toBe(1)
      expect(refused.stdout).toContain(`->  ${name}: ERROR`)
      expect((await onedyno(env, 'inspect', 'nothing')).code).toBe(64)
      expect((await onedyno(env, 'control', 'add_consumer')).code).toBe(64)
      const silent = await onedyno(env, 'inspect', 'ping', '-t', '0.2', '-d', 'celery@nowhere')
      expect({ code: silent.code, stderr: silent.stderr }).toEqual({ code: 69, stderr: expect.stringContaining('hint: ') })
    })

    it('stop the worker with `shutdown`, as SIGTERM does', async () => {
      expect((await onedyno(env, 'control', 'shutdown', '-d', name)).code).toBe(0)
      expect(await worker.exited).toBe(0)
      expect(worker.output()).toContain('worker stopped')
    })
  })

describe.skipIf(lacks('amqp', 'celery'))('a Python worker on RabbitMQ', () => {
  it('answers `onedyno inspect` when no database is configured', async () => {
    const vhost = await createTestVhost(inject('amqpUrl')!)
    const celery = createCeleryAmqp(vhost.url)
    try {
      await celery.worker()
      const { stdout, stderr } = await onedyno({ CLOUDAMQP_URL: vhost.url }, 'inspect', 'registered', '-j', '-t', '2')
      expect(stderr).toBe('')
      expect(Object.values(JSON.parse(stdout) as object).flat()).toContain('tasks.echo')
    } finally {
      await celery.close()
      await vhost.drop()
    }
  })
})
