import { spawnSync } from 'node:child_process'
import { connect } from 'node:net'
import { Client } from 'pg'
import type { TestProject } from 'vitest/node'
import { startTestDatabase } from './embedded.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    /** A PostgreSQL server: TEST_DATABASE_URL, the server of this machine, or an embedded one. */
    databaseUrl: string
    amqpUrl: string | undefined
    redisUrl: string | undefined
    /** True if Celery is installed for /usr/bin/python3. */
    hasCelery: boolean
  }
}

const DEFAULTS = {
  database: 'postgresql://postgres@127.0.0.1:5432/test',
  amqp: 'amqp://guest:guest@127.0.0.1:5672',
  redis: 'redis://127.0.0.1:6379',
}

/**
 * Finds the servers once for the whole run; a run of unit tests alone needs none. If no PostgreSQL answers, or if
 * TEST_DATABASE_URL=embedded, this starts the embedded one. If another service does not answer, its tests are skipped and the end of
 * the run says so; with CI=true the run fails instead.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  if (project.vitest.projects.every(({ name }) => name === 'unit')) return async () => {}
  const skipped: string[] = []
  const database = await findDatabase()
  project.provide('databaseUrl', database.url)
  project.provide('amqpUrl', await findService('RabbitMQ', process.env.TEST_AMQP_URL ?? DEFAULTS.amqp, 5672, skipped))
  project.provide('redisUrl', await findService('Redis', process.env.TEST_REDIS_URL ?? DEFAULTS.redis, 6379, skipped))
  project.provide('hasCelery', findCelery(skipped))
  return async () => {
    await database.stop()
    for (const name of skipped)
      process.stderr.write(
        `\n!!! SKIPPED: every test that needs ${name}, which does not answer or is not installed. CI=true makes this a failure.\n`,
      )
  }
}

async function findDatabase(): Promise<{ url: string; stop: () => Promise<void> }> {
  const asked = process.env.TEST_DATABASE_URL
  if (asked === 'embedded') return startTestDatabase()
  const url = asked ?? DEFAULTS.database
  if (await answers(url)) return { url, stop: async () => {} }
  if (process.env.CI === 'true' || asked !== undefined) throw new Error(`PostgreSQL does not answer at ${url}`)
  return startTestDatabase()
}

async function answers(url: string): Promise<boolean> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 3000 })
  client.on('error', () => {})
  try {
    await client.connect()
    await client.end()
    return true
  } catch {
    return false
  }
}

async function findService(name: string, url: string, defaultPort: number, skipped: string[]): Promise<string | undefined> {
  const { hostname, port } = new URL(url)
  if (await listens(hostname, Number(port) || defaultPort)) return url
  if (process.env.CI === 'true') throw new Error(`${name} does not answer at ${hostname}:${port}`)
  skipped.push(name)
  return undefined
}

function findCelery(skipped: string[]): boolean {
  if (spawnSync('/usr/bin/python3', ['-c', 'import celery, redis']).status === 0) return true
  if (process.env.CI === 'true') throw new Error('Celery is missing: apt-get install celery python3-redis')
  skipped.push('Celery')
  return false
}

const listens = (host: string, port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect({ host, port, timeout: 3000 })
    const done = (result: boolean) => {
      socket.destroy()
      resolve(result)
    }
    socket
      .on('connect', () => done(true))
      .on('error', () => done(false))
      .on('timeout', () => done(false))
  })
