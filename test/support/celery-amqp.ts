import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

const PYTHON = '/usr/bin/python3'
const FOLDER = join(import.meta.dirname, '../fixtures/celery')

export interface PythonCall {
  readonly id: string
  readonly task: string
  readonly args?: unknown[]
  readonly kwargs?: Record<string, unknown>
  readonly options?: Record<string, unknown>
  /** Seconds. */
  readonly timeout?: number
}

export interface PythonAnswer {
  readonly id: string
  readonly state: string
  readonly value?: unknown
  readonly error?: string
  readonly module?: string
  readonly args?: unknown[]
  readonly timeout?: boolean
}

export interface CeleryAmqp {
  /** A Python process that sends tasks, one after the other, and waits for their rpc:// results. */
  client(env?: Record<string, string>): { call(call: PythonCall): Promise<PythonAnswer> }
  /** A real Celery worker; resolves when it takes messages. */
  worker(): Promise<void>
  close(): Promise<void>
}

/** Real Celery on the virtual host of `url`. */
export function createCeleryAmqp(url: string): CeleryAmqp {
  const children: ChildProcess[] = []
  const start = (args: string[], env: Record<string, string> = {}) => {
    const { PATH = '', HOME = '' } = process.env
    const child = spawn(PYTHON, args, {
      cwd: FOLDER,
      env: { PATH, HOME, BROKER: url, PYTHONDONTWRITEBYTECODE: '1', C_FORCE_ROOT: '1', ...env },
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    children.push(child)
    return child
  }
  return {
    client(env) {
      const child = start(['amqp_app.py'], env)
      const waiting = new Map<string, (answer: PythonAnswer) => void>()
      createInterface({ input: child.stdout! }).on('line', (line) => {
        const answer = JSON.parse(line) as PythonAnswer
        waiting.get(answer.id)?.(answer)
      })
      child.stderr!.on('data', (data: Buffer) => process.stderr.write(data))
      return {
        call({ id, options = {}, ...call }) {
          const answered = new Promise<PythonAnswer>((resolve) => waiting.set(id, resolve))
          child.stdin!.write(`${JSON.stringify({ ...call, options: { ...options, task_id: id } })}\n`)
          return answered
        },
      }
    },
    async worker() {
      const child = start([
        '-m',
        'celery',
        '-A',
        'amqp_app',
        'worker',
        '-P',
        'solo',
        '-l',
        'info',
        '--without-gossip',
        '--without-mingle',
      ])
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
    },
    async close() {
      for (const child of children) {
        if (child.exitCode !== null || child.signalCode !== null) continue
        child.stdin!.end()
        child.kill('SIGKILL')
        await once(child, 'close')
      }
    },
  }
}
