import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'

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
