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
  /** Runs a task in a thread. Rejects with the error that the task threw, or with WorkerLostError if the thread died. */
  run(run: TaskRun): Promise<unknown>
  /** Ends the thread in which the task runs. @returns false if the task runs in no thread */
  abandon(run: TaskRun): boolean
  close(): Promise<void>
}

export interface ThreadRunnerOptions extends Omit<ThreadPoolOptions, 'onThread' | 'data'> {
  readonly data: Omit<ThreadPoolOptions['data'], 'methods'>
  /** Functions of the application's backend. Threads call them in the main thread, because threads have no connections. */
  readonly services: Services
}

/** If a revoked task ignores its signal, its thread is ended after this time. Milliseconds. */
const ABORT_GRACE_MS = 500

interface Running {
  readonly run: TaskRun
  /** Identifies the run in messages to and from its thread. */
  readonly number: number
  /** The parent of the tasks that this task sends. */
  readonly current: CurrentTask | undefined
  readonly kill: AbortController
  readonly resolve: (value: unknown) => void
  readonly reject: (error: unknown) => void
  /** Called when the thread is free again or dead. */
  readonly free: () => void
  /** true: the run has a thread, or has been given to the pool. */
  hasThread: boolean
  /** Sends a message to the thread of this run; undefined until the task has begun there. */
  send: ((message: ToThread) => void) | undefined
}

/** The runs that are not over, by each of their two keys. */
interface Runs {
  readonly byNumber: Map<number, Running>
  readonly byRun: Map<TaskRun, Running>
}

/**
 * Creates the part that runs tasks in worker threads. Only the main thread has connections: a thread sends the messages,
 * queries, log lines and progress of its task to the main thread. A thread runs one task at a time and is used again. To stop a
 * task, its thread is ended.
 */
export function createThreadRunner(options: ThreadRunnerOptions): ThreadRunner {
  const { services, memoryMb } = options
  const runs: Runs = { byNumber: new Map(), byRun: new Map() }
  const turns = createTurns(options.threads)
  let pool: Promise<ThreadPool> | undefined
  let last = 0
  let closed = false

  /** Loads the pool when the first task needs a thread. */
  const open = (): Promise<ThreadPool> => {
    const data = { ...options.data, methods: Object.keys(services) }
    const onThread = (port: MessagePort) => listenTo(port, runs, options)
    pool ??= import('./pool.ts').then(({ createThreadPool }) => createThreadPool({ ...options, data, onThread }))
    return pool
  }

  const start = async (running: Running) => {
    const { run, kill } = running
    await turns.enter()
    try {
      if (run.context.signal.aborted || kill.signal.aborted) return endWithoutThread(running)
      running.hasThread = true
      const pool = await open()
      // Resolves when the thread is free. The outcome of the task arrives separately, through the thread's port.
      await pool.run(startOf(running), kill.signal)
    } catch (cause) {
      const ended = closed || kill.signal.aborted
      running.reject(ended ? abortReason(run) : new WorkerLostError(howLost(cause as Error, memoryMb), { cause }))
    } finally {
      running.free()
      turns.leave()
    }
  }

  return {
    run(run) {
      const { promise: outcome, resolve, reject } = Promise.withResolvers<unknown>()
      const { promise: freed, resolve: free } = Promise.withResolvers<void>()
      const [number, current, kill] = [++last, currentTask.getStore(), new AbortController()]
      const running: Running = { run, number, current, kill, resolve, reject, free, hasThread: false, send: undefined }
      runs.byNumber.set(number, running)
      runs.byRun.set(run, running)
      void start(running)
      return waitFor(running, outcome, freed).finally(() => {
        runs.byNumber.delete(number)
        runs.byRun.delete(run)
      })
    },
    abandon(run) {
      const running = runs.byRun.get(run)
      if (running === undefined) return false
      running.kill.abort()
      if (!running.hasThread) endWithoutThread(running)
      return true
    },
    async close() {
      closed = true
      await (await pool)?.close()
    },
  }
}

/**
 * Makes runs wait for a thread in the order of their calls. The pool's own queue is not used, because it forgets waiting runs
 * when its last thread dies.
 */
function createTurns(threads: number) {
  const waiting: (() => void)[] = []
  let busy = 0
  return {
    enter(): Promise<void> | undefined {
      if (busy >= threads) return new Promise((resolve) => void waiting.push(resolve))
      busy += 1
      return undefined
    },
    leave(): void {
      const next = waiting.shift()
      if (next === undefined) busy -= 1
      else next()
    },
  }
}

/** Handles the messages of a new thread. */
function listenTo(port: MessagePort, { byNumber }: Runs, { log, services }: ThreadRunnerOptions): void {
  const send = (message: ToThread) => port.postMessage(message)
  const answers = createAnswers(services, send)
  port.on('message', (message: FromThread) => {
    if (message.tag === 'call') void answers.answer(message)
    else if (message.tag === 'cancel') answers.cancel(message.call)
    else if (message.tag === 'answer' || message.tag === 'refused') answers.answered(message)
    else if (message.tag === 'rejection')
      log.error({ err: revive(message.thrown) }, 'unhandled rejection in a thread, the thread continues')
    else if (message.tag === 'log') repeat(message.line, byNumber.get(message.run ?? 0)?.run.context.log ?? log)
    else {
      const running = byNumber.get(message.run)
      if (running !== undefined) onRunMessage(running, message, send)
    }
  })
  port.on('close', answers.over)
  // The pool keeps the process alive while a task runs. The port of an idle thread must not keep it alive.
  port.unref()
}

type RunMessage = Exclude<FromThread, { tag: 'call' | 'cancel' | 'answer' | 'refused' | 'log' | 'rejection' }>

function onRunMessage(running: Running, message: RunMessage, send: (message: ToThread) => void): void {
  const { run, current } = running
  if (message.tag === 'begun') {
    running.send = send
    run.begun?.()
    if (run.context.signal.aborted) sendAbort(running)
  } else if (message.tag === 'progress') run.context.progress(message.n, message.of, message.note)
  else if (message.tag === 'sent') current?.sent(message.child)
  else if (message.tag === 'done') running.resolve(message.value)
  else if (message.tag === 'threw') running.reject(revive(message.thrown, classesOf(run)))
  else retryHere(running, message.options)
}

/**
 * Calls `retry` of the context in the main thread, because that context has the retry policy. Rejects the run with the error
 * that `retry` throws.
 */
function retryHere({ run, reject }: Running, { error, ...given }: CarriedRetry): void {
  try {
    run.context.retry(error === undefined ? given : { ...given, error: revive(error, classesOf(run)) })
  } catch (thrown) {
    reject(thrown)
  }
}

const sendAbort = ({ run, number, send }: Running) =>
  send?.({ tag: 'abort', run: number, reason: carry(run.context.signal.reason) })

const abortReason = ({ context }: TaskRun): unknown => context.signal.reason ?? new Error('the thread was ended')

function endWithoutThread({ run, reject, free }: Running): void {
  reject(abortReason(run))
  free()
}

/**
 * Waits until the outcome has arrived and the thread is free. The next run then finds a free thread instead of starting another
 * one.
 */
async function waitFor(running: Running, outcome: Promise<unknown>, freed: Promise<void>): Promise<unknown> {
  const { signal } = running.run.context
  const onAbort = () => {
    if (!running.hasThread) return endWithoutThread(running)
    sendAbort(running)
    if (signal.reason instanceof Revocation) setTimeout(() => running.kill.abort(), ABORT_GRACE_MS).unref()
  }
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    const [value] = await Promise.all([outcome, freed])
    return value
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

function startOf({ number, run: { context, body }, current }: Running): ThreadStart {
  const { id, task, queue, retries, attempt, kwargs, headers, parentId, rootId } = context
  const given = { id, task, queue, retries, attempt, kwargs, headers, parentId, rootId }
  return { run: number, args: body.args, context: given, inherited: current?.inherited }
}

/** Writes a log line of a thread again, with the logger of the main thread. */
function repeat(line: string, log: Log): void {
  const { level, time: _time, msg, ...fields } = JSON.parse(line) as Record<string, unknown>
  if (level === 'debug' || level === 'warn' || level === 'error') log[level](fields, String(msg ?? ''))
  else log.info(fields, String(msg ?? ''))
}

/**
 * Returns how a thread died, by the error code of node:worker_threads (Node.js 24) or by piscina's message for a thread that
 * called `process.exit`.
 */
function howLost(cause: Error & { readonly code?: string }, memoryMb: number): string {
  if (cause.code === 'ERR_WORKER_OUT_OF_MEMORY') return `out of memory (WORKER_THREAD_MEMORY is ${memoryMb} MB)`
  const exit = /exited with code: (\d+)/.exec(cause.message)?.[1]
  return exit === undefined ? `${cause.name}: ${cause.message}` : `exitcode ${exit}`
}

/**
 * Returns the error classes that the retry policy names. The thread has its own copies of these classes; an error of such a copy
 * is decoded as an instance of the class in this thread.
 */
function classesOf({ task: { options } }: TaskRun): ErrorClass[] {
  const asked = [options.autoretryFor, options.dontAutoretryFor] as readonly (ErrorMatch | undefined)[]
  return asked.flatMap((match) => (Array.isArray(match) ? match.filter((each) => typeof each === 'function') : []))
}
