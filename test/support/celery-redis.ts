import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes, randomInt } from 'node:crypto'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Redis } from 'ioredis'

const PYTHON = '/usr/bin/python3'
const FOLDER = join(import.meta.dirname, '../fixtures/celery')
const server = process.env.TEST_REDIS_URL ?? 'redis://127.0.0.1:6379'

export interface PythonAnswer {
  readonly id: string
  readonly state: string
  readonly value?: unknown
  readonly error?: string
  readonly module?: string
  readonly args?: unknown[]
  readonly timeout?: boolean
}

export interface PythonCall {
  readonly id: string
  readonly task: string
  readonly args?: unknown[]
  readonly kwargs?: Record<string, unknown>
  readonly options?: Record<string, unknown>
  readonly timeout?: number
}

export interface CeleryRedis {
  readonly url: string
  readonly prefix: string
  /** A plain client on the same database. */
  readonly redis: Redis
  /** A Python process that sends tasks and waits for their results. */
  client(env?: Record<string, string>): { call(call: PythonCall): Promise<PythonAnswer> }
  /** A real Celery worker; resolves when it takes messages. */
  worker(env?: Record<string, string>): Promise<ChildProcess>
  /** Ends what was started and removes every key. */
  close(): Promise<void>
}

/** Real Celery on a database and a key prefix of its own. */
export async function createCeleryRedis(): Promise<CeleryRedis> {
  const url = `${server}/${randomInt(1, 16)}`
  const prefix = `test_${randomBytes(6).toString('hex')}:`
  const redis = new Redis(url, { protocol: 2 })
  const children: ChildProcess[] = []
  const ids = new Set<string>()
  const start = (args: string[], env: Record<string, string>) => {
    const { PATH = '', HOME = '' } = process.env
    const child = spawn(PYTHON, args, {
      cwd: FOLDER,
      env: { PATH, HOME, BROKER: url, PREFIX: prefix, PYTHONDONTWRITEBYTECODE: '1', C_FORCE_ROOT: '1', ...env },
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    children.push(child)
    return child
  }
  return {
    url,
    prefix,
    redis,
    client(env = {}) {
      const child = start(['redis_app.py'], env)
      const waiting = new Map<string, (answer: PythonAnswer) => void>()
      createInterface({ input: child.stdout! }).on('line', (line) => {
        const answer = JSON.parse(line) as PythonAnswer
        waiting.get(answer.id)?.(answer)
      })
      child.stderr!.on('data', (data: Buffer) => process.stderr.write(data))
      return {
        call({ id, options = {}, ...call }) {
          ids.add(id)
          const answered = new Promise<PythonAnswer>((resolve) => waiting.set(id, resolve))
          child.stdin!.write(`${JSON.stringify({ ...call, options: { ...options, task_id: id } })}\n`)
          return answered
        },
      }
    },
    async worker(env = {}) {
      const args = ['-m', 'celery', '-A', 'redis_app', 'worker', '-P', 'solo', '-l', 'info', '-n', `${prefix}@py`]
      const child = start([...args, '--without-gossip', '--without-mingle', '--without-heartbeat'], env)
      let log = ''
      await new Promise<void>((resolve, reject) => {
        const read = (data: Buffer) => {
          log += data.toString()
          if (log.includes('ready.')) resolve()
        }
        child.stdout!.on('data', read)
        child.stderr!.on('data', read)
        child.once('exit', () => reject(new Error(`the Celery worker ended:\n${log}`)))
      })
      return child
    },
    async close() {
      for (const child of children) {
        if (child.exitCode !== null || child.signalCode !== null) continue
        child.stdin!.end()
        child.kill('SIGKILL')
        await once(child, 'close')
      }
      const keys = [...(await redis.keys(`*${prefix}*`)), ...[...ids].map((id) => `celery-task-meta-${id}`)]
      if (keys.length > 0) await redis.del(keys)
      await redis.quit()
    },
  }
}
