import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { until } from './until.ts'

export interface OwnRedis {
  readonly url: string
  /** A client that reconnects by itself. */
  readonly redis: Redis
  /** Kills the server with SIGKILL and starts it again with the same files and port. */
  restart(): Promise<void>
  kill(): Promise<void>
  start(): Promise<void>
  close(): Promise<void>
}

/** Starts a Redis server for one test. It syncs every write to disk, so that a test can kill it. `options` extend its command line. */
export async function createOwnRedis(options: readonly string[] = []): Promise<OwnRedis> {
  const folder = await mkdtemp(join(tmpdir(), 'onedyno-redis-'))
  const port = await freePort()
  const args = [
    '--port',
    String(port),
    '--bind',
    '127.0.0.1',
    '--dir',
    folder,
    '--appendonly',
    'yes',
    '--appendfsync',
    'always',
    ...options,
  ]
  let child: ChildProcess | undefined
  const start = async () => {
    const started = spawn('redis-server', args, { stdio: ['ignore', 'pipe', 'ignore'] })
    child = started
    await new Promise<void>((resolve, reject) => {
      started.stdout.on('data', (data: Buffer) => {
        if (data.includes('Ready to accept connections')) resolve()
      })
      started.once('exit', (code) => reject(new Error(`redis-server ended with ${code}`)))
    })
  }
  const kill = async () => {
    if (child === undefined) return
    const ended = once(child, 'close')
    child.kill('SIGKILL')
    child = undefined
    await ended
  }
  await start()
  const url = `redis://127.0.0.1:${port}`
  const redis = new Redis(url, { protocol: 2, retryStrategy: () => 50 })
  redis.on('error', () => {})
  return {
    url,
    redis,
    start,
    kill,
    async restart() {
      await kill()
      await start()
    },
    async close() {
      redis.disconnect()
      await kill()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}

export interface Sentinel {
  readonly port: number
  close(): Promise<void>
}

/** A Sentinel that watches one primary as `mymaster` and fails over alone, after a second. */
export async function createSentinel(primaryUrl: string): Promise<Sentinel> {
  const folder = await mkdtemp(join(tmpdir(), 'onedyno-sentinel-'))
  const port = await freePort()
  const file = join(folder, 'sentinel.conf')
  await writeFile(
    file,
    [
      `port ${port}`,
      'bind 127.0.0.1',
      `dir ${folder}`,
      `sentinel monitor mymaster 127.0.0.1 ${new URL(primaryUrl).port} 1`,
      'sentinel down-after-milliseconds mymaster 1000',
      'sentinel failover-timeout mymaster 3000',
      '',
    ].join('\n'),
  )
  const child = spawn('redis-server', [file, '--sentinel'], { stdio: 'ignore' })
  const asking = new Redis(port, '127.0.0.1', { protocol: 2, retryStrategy: () => 50 })
  asking.on('error', () => {})
  await asking.ping()
  // Without a known replica there is nothing to fail over to.
  await until(
    'the Sentinel knows the replica',
    async () => ((await asking.call('SENTINEL', 'replicas', 'mymaster')) as unknown[]).length > 0,
  )
  asking.disconnect()
  return {
    port,
    async close() {
      const ended = once(child, 'close')
      child.kill('SIGKILL')
      await ended
      await rm(folder, { recursive: true, force: true })
    },
  }
}
