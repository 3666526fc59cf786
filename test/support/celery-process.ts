import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

const PYTHON = '/usr/bin/python3'
const FOLDER = join(import.meta.dirname, '../fixtures/celery')

/** A task or a composition to run. */
export type PythonSignature =
  | [task: string, args: unknown[], options: object]
  | { readonly group: readonly PythonSignature[] }
  | { readonly chain: readonly PythonSignature[] }

/** A call of a task or of a chord. */
export interface PythonCall {
  readonly id: string
  readonly task?: string
  readonly args?: unknown[]
  readonly kwargs?: Record<string, unknown>
  readonly chord?: readonly PythonSignature[]
  readonly body?: PythonSignature
  /** Errback of the chord body. */
  readonly link_error?: PythonSignature
  readonly options?: Record<string, unknown>
  /** In seconds. */
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

export interface PythonClient {
  call(call: PythonCall): Promise<PythonAnswer>
}

/** Starts processes of an application in test/fixtures/celery. */
export interface CeleryProcesses {
  /** Starts a client that evaluates expressions in canvas_app.py, one after the other. */
  evaluator(env?: Record<string, string>): (expression: string) => Promise<{ value?: unknown; error?: string; args?: unknown[] }>
  /** Starts a client that sends tasks and waits for their results. */
  client(env?: Record<string, string>): PythonClient
  /** Starts a Celery worker. Resolves when it consumes messages. `mingle`: it first asks the other workers for their clocks. */
  worker(options?: { args?: readonly string[]; env?: Record<string, string>; mingle?: boolean }): Promise<ChildProcess>
  /** Ends all processes. */
  close(): Promise<void>
}

/** `env` has the variables that the application reads: BROKER, BACKEND, … */
export function createCeleryProcesses(
  env: Record<string, string>,
  app: 'python_app' | 'canvas_app' = 'python_app',
): CeleryProcesses {
  const children: ChildProcess[] = []
  const start = (args: readonly string[], more: Record<string, string> = {}) => {
    const { PATH = '', HOME = '' } = process.env
    const child = spawn(PYTHON, args, {
      cwd: FOLDER,
      env: { PATH, HOME, PYTHONDONTWRITEBYTECODE: '1', C_FORCE_ROOT: '1', ...env, ...more },
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    children.push(child)
    return child
  }
  return {
    client(more) {
      const child = start([`${app}.py`], more)
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
    evaluator(more) {
      const child = start([`${app}.py`], more)
      child.stderr!.on('data', (data: Buffer) => process.stderr.write(data))
      const lines = createInterface({ input: child.stdout! })
      return async (expression) => {
        const answered = once(lines, 'line')
        child.stdin!.write(`${expression}\n`)
        return JSON.parse((await answered)[0])
      }
    },
    async worker({ args = [], env: more, mingle = false } = {}) {
      const quiet = ['--without-gossip', '--without-heartbeat', ...(mingle ? [] : ['--without-mingle'])]
      const child = start(['-m', 'celery', '-A', app, 'worker', '-P', 'solo', '-l', 'info', ...quiet, ...args], more)
      await ready(child)
      return child
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

const ready = (child: ChildProcess) =>
  new Promise<void>((resolve, reject) => {
    let log = ''
    const read = (data: Buffer) => {
      log += data.toString()
      if (log.includes('ready.')) resolve()
    }
    child.stdout!.on('data', read)
    child.stderr!.on('data', read)
    child.once('exit', () => reject(new Error(`the Celery worker ended:\n${log}`)))
  })
