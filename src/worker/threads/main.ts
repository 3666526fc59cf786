import type { MessagePort } from 'node:worker_threads'
import type { App } from '../../app/app.ts'
import { currentTask } from '../../app/calls/current-task.ts'
import type { RetryOptions, TaskContext } from '../../app/task-context.ts'
import type { Log } from '../../log.ts'
import { checkJson } from '../../message/check-json.ts'
import { answerQuery, createCalls } from './calls.ts'
import type { FromThread, ThreadStart, ToThread } from './protocol.ts'
import { carry, revive } from './thrown.ts'

/** The thread's side of the connection to the main thread. */
export interface Thread {
  /** Calls a function of the main thread, which has the connections. If that function rejects, rejects with the same error. */
  call(method: string, args: readonly unknown[]): Promise<unknown>
  /** The destination of a logger in this thread. Its lines are written again by the logger of the main thread. */
  readonly lines: { write(line: string): void }
  /** Runs one task and sends its outcome. Never rejects. */
  run(start: ThreadStart, load: () => Promise<{ readonly app: Pick<App, 'tasks'>; readonly log: Log }>): Promise<void>
}

/** `context.retry` throws it. The main thread, which has the retry policy, decides about the retry. */
class RetryAsked extends Error {
  override readonly name = 'Retry'
  readonly options: RetryOptions

  constructor(options: RetryOptions) {
    super('the task will be retried')
    this.options = options
  }
}

/** Creates the main loop of one thread. Its tasks run one at a time. */
export function createThread(port: MessagePort): Thread {
  const send = (message: FromThread) => port.postMessage(message)
  const calls = createCalls(send)
  let running: { readonly run: number; readonly controller: AbortController } | undefined

  port.on('message', (message: ToThread) => {
    if (message.tag === 'abort') {
      if (running?.run === message.run) running.controller.abort(revive(message.reason))
    } else if (message.tag === 'query') void answerQuery(message, calls.clientOf(message.call), send)
    else calls.answered(message)
  })

  const contextOf = ({ run, context }: ThreadStart, signal: AbortSignal, log: Log): TaskContext => ({
    ...context,
    signal,
    log,
    progress: (n, of, note) => send({ tag: 'progress', run, n, of, note }),
    retry(options = {}) {
      throw new RetryAsked(options)
    },
  })

  return {
    call: calls.call,
    lines: { write: (line) => send({ tag: 'log', run: running?.run, line }) },
    async run(start, load) {
      const { run, context, inherited } = start
      const controller = new AbortController()
      running = { run, controller }
      send({ tag: 'begun', run })
      try {
        const { app, log } = await load()
        const task = app.tasks.get(context.task)
        if (task === undefined) throw named('NotRegistered', `${context.task} (in a thread)`)
        const sent = (child: string | { readonly group: string }) => send({ tag: 'sent', run, child })
        const current = { id: context.id, rootId: context.rootId, inherited, sent }
        const value = await currentTask.run(current, () => task.run(contextOf(start, controller.signal, log), start.args))
        send({ tag: 'done', run, value: checked(value) })
      } catch (thrown) {
        send(
          thrown instanceof RetryAsked
            ? { tag: 'retry', run, options: carriedRetry(thrown.options) }
            : { tag: 'threw', run, thrown: carry(thrown) },
        )
      } finally {
        running = undefined
      }
    },
  }
}

/**
 * Checks a value before it is cloned, because cloning accepts values that JSON does not have, such as a Map, and their path
 * would no longer be known.
 * @throws EncodeError
 */
function checked(value: unknown): unknown {
  if (value === undefined) return undefined
  try {
    checkJson(value, 'result')
  } catch (cause) {
    throw named('EncodeError', (cause as Error).message)
  }
  return value
}

const named = (name: string, message: string) => Object.assign(new Error(message), { name })

const carriedRetry = ({ error, ...options }: RetryOptions) =>
  error === undefined ? options : { ...options, error: carry(error) }
