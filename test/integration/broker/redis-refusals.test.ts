import { execFileSync, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import type { Consumer, Delivery } from '../../../src/broker/broker.ts'
import { createRedisBroker, type RedisBroker } from '../../../src/broker/redis/broker.ts'
import { encodeEnvelope } from '../../../src/broker/redis/envelope.ts'
import type { Platform } from '../../../src/config.ts'
import { createLog } from '../../../src/log.ts'
import { createMessage } from '../../../src/message/message.ts'
import { createTestSchema, type TestSchema } from '../../support/database.ts'
import { lacks } from '../../support/lacks.ts'
import { createOwnRedis, freePort, type OwnRedis } from '../../support/redis-server.ts'
import { until } from '../../support/until.ts'

const root = join(import.meta.dirname, '../../..')
const message = (id: string) => createMessage({ id, task: 'tasks.echo', args: [id] })

let schema: TestSchema
let lines: string[]
let server: OwnRedis
const brokers: RedisBroker[] = []
const consumers: Consumer[] = []

beforeEach(async () => {
  schema = await createTestSchema()
  lines = []
})
afterEach(async () => {
  for (const consumer of consumers.splice(0)) await consumer.close()
  for (const broker of brokers.splice(0)) await broker.close()
  await server.close()
  await schema.drop()
})

const said = (words: string) => lines.filter((line) => line.includes(words)).length

function open(url: string, platform: Platform = schema.config.platform): RedisBroker {
  const log = createLog({ level: 'info', format: 'json' }, { write: (line) => void lines.push(line) })
  const broker = createRedisBroker(schema.open(), { publishTimeoutMs: 1000, platform }, log, { url })
  brokers.push(broker)
  return broker
}

async function collect(broker: RedisBroker): Promise<Delivery[]> {
  const got: Delivery[] = []
  const onDeliveries = (deliveries: readonly Delivery[]) => void got.push(...deliveries)
  consumers.push(await broker.consume({ queues: ['celery'], concurrency: 10, name: 'celery@test', onDeliveries }))
  return got
}

describe.skipIf(lacks('redis'))('Redis behind TLS with a self-signed certificate', () => {
  let url: string
  let folder: string
  let certificate: string

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'onedyno-tls-'))
    certificate = join(folder, 'cert.pem')
    const key = join(folder, 'key.pem')
    const request = '-x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost'.split(' ')
    const names = ['-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1']
    execFileSync('openssl', ['req', ...request, ...names, '-keyout', key, '-out', certificate], { stdio: 'ignore' })
    const port = await freePort()
    const tls = `--tls-port ${port} --tls-cert-file ${certificate} --tls-key-file ${key} --tls-auth-clients no`
    server = await createOwnRedis(tls.split(' '))
    url = `rediss://127.0.0.1:${port}`
  })
  afterEach(() => rm(folder, { recursive: true, force: true }))

  it('is accepted on Heroku, where certificates are self-signed', async () => {
    const broker = open(url, 'heroku')
    await broker.publish([message('a')])
    const got = await collect(broker)
    await until('delivered', () => got.length === 1)
    await broker.publish([message('b')])
    await until('woken', () => got.length === 2)
    expect(String(await server.redis.client('LIST'))).toMatch(/name=onedyno-listening/)
  })

  it('is refused elsewhere: one log line gives the reason, and messages stay in the outbox', async () => {
    const broker = open(url)
    await broker.publish([message('a')])
    expect(said('self-signed certificate')).toBeGreaterThanOrEqual(1)
    expect(said('Redis connection away')).toBe(1)
    expect(await schema.open().query({ name: 'kept', text: 'SELECT task_id FROM {schema}.outbox' })).toEqual([{ task_id: 'a' }])
  })

  it('is accepted elsewhere if Node.js trusts the certificate (NODE_EXTRA_CA_CERTS)', async () => {
    const { PATH = '', HOME = '' } = process.env
    const env = { PATH, HOME, ...schema.env, REDIS_URL: url, NODE_EXTRA_CA_CERTS: certificate, LOG_FORMAT: 'json' }
    const worker = spawn(process.execPath, [join(root, 'src/main.ts'), 'worker'], {
      cwd: folder,
      env,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const ended = once(worker, 'close')
    onTestFinished(async () => {
      worker.kill('SIGTERM')
      await ended
    })
    worker.stdout.on('data', (data: Buffer) => lines.push(data.toString()))
    await server.redis.lpush('celery', encodeEnvelope(message('a'), randomUUID()).text)
    const reader = schema.open()
    const count = { name: 'done', text: `SELECT FROM {schema}.task_result WHERE state = 'SUCCESS'` }
    await until('recorded', async () => (await reader.query(count)).length === 1)
    expect(said('worker ready')).toBe(1)
  })
})

describe.skipIf(lacks('redis')).each([
  ['CLIENT TRACKING', ['-client|tracking']],
  ['every CLIENT command', ['-client']],
])('Redis that refuses %s', (_what, rules) => {
  let url: string

  beforeEach(async () => {
    server = await createOwnRedis()
    await server.redis.call('ACL', 'SETUSER', 'limited', 'on', '>secret', '~*', '&*', '+@all', ...rules)
    url = server.url.replace('redis://', 'redis://limited:secret@')
  })

  it('makes a worker log the refusal once and find messages of other producers within two seconds', async () => {
    const broker = open(url)
    const got = await collect(broker)
    for (let round = 1; round <= 3; round++) {
      const sentAt = performance.now()
      await server.redis.lpush('celery', encodeEnvelope(message(`foreign${round}`), randomUUID()).text)
      await until('delivered', () => got.length === round)
      expect(performance.now() - sentAt).toBeLessThan(2500)
    }
    expect(said('Redis refuses CLIENT TRACKING')).toBe(1)
    expect(said('"level":"error"')).toBe(0)
  })

  it('delivers messages of our own producers at once', async () => {
    const got = await collect(open(url))
    const producer = open(url)
    const waits: number[] = []
    for (let round = 1; round <= 5; round++) {
      const sentAt = performance.now()
      await producer.publish([message(`own${round}`)])
      await until('delivered', () => got.length === round)
      waits.push(performance.now() - sentAt)
    }
    expect(waits.filter((ms) => ms < 300).length).toBeGreaterThanOrEqual(4)
  })

  it('delivers the messages of a dead worker again', async () => {
    const doomed = open(url)
    await doomed.publish([message('a')])
    const held = await collect(doomed)
    await until('delivered', () => held.length === 1)
    consumers.pop()
    const got = await collect(open(url))
    doomed.destroy()
    await until('delivered again', () => got.length === 1)
    expect(got[0]?.deliveries).toBe(2)
  })
})
