import type { MessagePort } from 'node:worker_threads'
import { type CurrentTask, currentTask } from '../../app/calls/current-task.ts'
import type { ErrorMatch } from '../../app/task-options.ts'
import type { Log } from '../../log.ts'
import { Revocation, WorkerLostError } from '../attempt/interruptions.ts'
import type { TaskRun } from '../attempt/ports.ts'
import { createAnswers, type Services } from './calls.ts'
import type { ThreadPool, ThreadPoolOptions } from './pool.ts'
import type { CarriedRetry, FromThread, ThreadStart, ToThread } from './protocol.ts'
import { carry, type ErrorClass, revive } from './thrown.ts'

export interface ThreadRunner {
  /** Runs it in a thread. Rejects with what the task threw, and with WorkerLostError when the thread is gone. */
  run(run: TaskRun): Promise<unknown>
  /** Ends the thread in which it runs. @returns false when it runs in none */
  abandon(run: TaskRun): boolean
  close(): Promise<void>
}

export interface ThreadRunnerOptions extends Omit<ThreadPoolOptions, 'onThread' | 'data'> {
  readonly data: Omit<ThreadPoolOptions['data'], 'methods'>
  /** What this thread does for the others, which have no connections: the application's backend. */
  readonly services: Services
}

/** A revoked task that does not end by its signal is ended with its thread after so long. Milliseconds. */
const ABORT_GRACE_MS = 500

interface Running {
  readonly run: TaskRun
  /** The task that its children are children of. */
  readonly current: CurrentTask | undefined
  readonly kill: AbortController
  readonly resolve: (value: unknown) => void
  readonly reject: (error: unknown) => void
  /** The thread is free again, or gone. */
  readonly free: () => void
  /** It waits for no thread any more. */
  placed: boolean
  /** The line to its thread, once it has begun. */
  say: ((message: ToThread) => void) | undefined
}

/**
 * Tasks in worker threads. The threads have the code and this one the connections: what a task sends, asks, logs and reports comes here by
 * messages. A thread runs one task at a time and is used again; one that has to be stopped is ended.
 */
export function createThreadRunner(options: ThreadRunnerOptions): ThreadRunner {
  const { log, services } = options
  const byNumber = new Map<number, Running>()
  const byRun = new Map<TaskRun, Running>()
  let pool: Promise<ThreadPool> | undefined
  /** Runs that wait for a thread, the first come first: the pool's own queue would forget them when a thread dies and none is left. */
  const queue: (() => void)[] = []
  let busy = 0
  let last = 0
  let closed = false

  const enter = (): Promise<void> | undefined => {
    if (busy >= options.threads) return new Promise((resolve) => void queue.push(resolve))
    busy += 1
    return undefined
  }
  const leave = () => {
    const next = queue.shift()
    if (next === undefined) busy -= 1
    else next()
  }

  /** Loaded by the first task that asks for it. */
  const open = (): Promise<ThreadPool> => {
    const data = { ...options.data, methods: Object.keys(services) }
    pool ??= import('./pool.ts').then(({ createThreadPool }) => createThreadPool({ ...options, data, onThread }))
    return pool
  }

  const onThread = (port: MessagePort) => {
    const say = (message: ToThread) => port.postMessage(message)
    const answers = createAnswers(services, say)
    port.on('message', (message: FromThread) => {
      if (message.tag === 'call') void answers.answer(message)
      else if (message.tag === 'cancel') answers.cancel(message.call)
      else if (message.tag === 'answer' || message.tag === 'refused') answers.answered(message)
      else if (message.tag === 'rejection')
        log.error({ err: revive(message.thrown) }, 'a promise that nobody awaited was rejected in a thread, the thread goes on')
      else if (message.tag === 'log') repeat(message.line, byNumber.get(message.run ?? 0)?.run.context.log ?? log)
      else heard(message, say)
    })
    port.on('close', answers.over)
    // The pool holds the process while a task runs; a line to an idle thread must not.
    port.unref()
  }

  type OfRun = Exclude<FromThread, { tag: 'call' | 'cancel' | 'answer' | 'refused' | 'log' | 'rejection' }>

  const heard = (message: OfRun, say: (message: ToThread) => void) => {
    const running = byNumber.get(message.run)
    if (running === undefined) return
    const { run, current } = running
    if (message.tag === 'begun') {
      running.say = say
      run.begun?.()
      if (run.context.signal.aborted) tellAborted(message.run, running)
    } else if (message.tag === 'progress') run.context.progress(message.n, message.of, message.note)
    else if (message.tag === 'sent') current?.sent(message.child)
    else if (message.tag === 'done') running.resolve(message.value)
    else if (message.tag === 'threw') running.reject(revive(message.thrown, classesOf(run)))
    else askRetry(running, message.options)
  }

  /** The context here knows the policy and throws what is to be thrown. */
  const askRetry = ({ run, reject }: Running, { error, ...given }: CarriedRetry) => {
    try {
      run.context.retry(error === undefined ? given : { ...given, error: revive(error, classesOf(run)) })
    } catch (thrown) {
      reject(thrown)
    }
  }

  const tellAborted = (number: number, { run, say }: Running) =>
    say?.({ tag: 'abort', run: number, reason: carry(run.context.signal.reason) })

  const start = async (running: Running, number: number) => {
    const { run, current, kill } = running
    await enter()
    try {
      if (run.context.signal.aborted || kill.signal.aborted) return ended(running)
      running.placed = true
      const pool = await open()
      // A thread that ended before it said so has not done its task: its outcome comes on its own line, this is only its end.
      await pool.run(startOf(number, run, current), kill.signal)
    } catch (cause) {
      running.reject(lost(cause, running))
    } finally {
      running.free()
      leave()
    }
  }

  const ended = ({ run, reject, free }: Running) => {
    reject(run.context.signal.reason ?? new Error('the thread was ended'))
    free()
  }

  const lost = (cause: unknown, { run, kill }: Running): unknown => {
    if (closed || kill.signal.aborted) return run.context.signal.reason ?? new Error('the thread was ended')
    return new WorkerLostError(howLost(cause as Error, options.memoryMb), { cause })
  }

  /** Until the outcome is here and the thread is free: what comes next finds it there, instead of starting another one. */
  const wait = async (number: number, running: Running, outcome: Promise<unknown>, freed: Promise<void>): Promise<unknown> => {
    const { run, kill } = running
    const stopWatching = onAbort(run.context.signal, () => {
      if (!running.placed) return ended(running)
      tellAborted(number, running)
      if (run.context.signal.reason instanceof Revocation) setTimeout(() => kill.abort(), ABORT_GRACE_MS).unref()
    })
    try {
      const [value] = await Promise.all([outcome, freed])
      return value
    } finally {
      stopWatching()
      byNumber.delete(number)
      byRun.delete(run)
    }
  }

  return {
    run(run) {
      const { promise, resolve, reject } = Promise.withResolvers<unknown>()
      const { promise: freed, resolve: free } = Promise.withResolvers<void>()
      const number = ++last
      const kill = new AbortController()
      const running: Running = {
        run,
        current: currentTask.getStore(),
        kill,
        resolve,
        reject,
        free,
        placed: false,
        say: undefined,
      }
      byNumber.set(number, running)
      byRun.set(run, running)
      void start(running, number)
      return wait(number, running, promise, freed)
    },
    abandon(run) {
      const running = byRun.get(run)
      if (running === undefined) return false
      running.kill.abort()
      if (!running.placed) ended(running)
      return true
    },
    async close() {
      closed = true
      await (await pool)?.close()
    },
  }
}

function startOf(number: number, { context, body }: TaskRun, current: CurrentTask | undefined): ThreadStart {
  const { id, task, queue, retries, attempt, kwargs, headers, parentId, rootId } = context
  const given = { id, task, queue, retries, attempt, kwargs, headers, parentId, rootId }
  return { run: number, args: body.args, context: given, inherited: current?.inherited }
}

/** A line of a thread's logger, said again by the one here. */
function repeat(line: string, log: Log): void {
  const { level, time: _time, msg, ...fields } = JSON.parse(line) as Record<string, unknown>
  if (level === 'debug' || level === 'warn' || level === 'error') log[level](fields, String(msg ?? ''))
  else log.info(fields, String(msg ?? ''))
}

/** Codes of Node 24, node:worker_threads; the message of piscina for a thread that called `process.exit`. */
function howLost(cause: Error & { readonly code?: string }, memoryMb: number): string {
  if (cause.code === 'ERR_WORKER_OUT_OF_MEMORY') return `out of memory (WORKER_THREAD_MEMORY is ${memoryMb} MB)`
  const exit = /exited with code: (\d+)/.exec(cause.message)?.[1]
  return exit === undefined ? `${cause.name}: ${cause.message}` : `exitcode ${exit}`
}

/** The classes by which the task's policy asks: an error of the thread's copy of a class becomes one of the copy here. */
function classesOf({ task: { options } }: TaskRun): ErrorClass[] {
  const asked = [options.autoretryFor, options.dontAutoretryFor] as readonly (ErrorMatch | undefined)[]
  return asked.flatMap((match) => (Array.isArray(match) ? match.filter((each) => typeof each === 'function') : []))
}

function onAbort(signal: AbortSignal, listener: () => void): () => void {
  signal.addEventListener('abort', listener, { once: true })
  return () => signal.removeEventListener('abort', listener)
}
