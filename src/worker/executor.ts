import type { App } from '../app/app.ts'
import type { Outcome, State } from '../app/outcome.ts'
import type { Task, TaskContext } from '../app/task.ts'
import type { Consumer, Delivery } from '../broker/broker.ts'
import type { Log } from '../log.ts'
import { checkJson } from '../message/check-json.ts'
import { type Body, decodeBody, type Message } from '../message/message.ts'
import { UndecodableMessageError } from '../message/undecodable.ts'
import { encodeException, encodeThrown } from './exception.ts'
import type { WorkerObserver } from './observer.ts'
import { isRecordable, notBefore, PARKED, type Refused, refusalOf } from './refusal.ts'
import { Revocation } from './revocation.ts'

export interface Executor {
  /** Runs one delivery and reports its outcome to the consumer; `onEnd` is called once the slot is free. Never throws. */
  execute(delivery: Delivery, signal: AbortSignal, onEnd: () => void): void
}

interface ExecutorOptions {
  readonly app: Pick<App, 'tasks'>
  readonly log: Log
  readonly maxDeliveries: number
  /** Keeps a message that came before its time, durable when resolved. Without it such a message runs at once. */
  readonly park?: ((message: Message, dueAt: Date) => Promise<void>) | undefined
  readonly observer?: WorkerObserver | undefined
  readonly isRevoked?: ((id: string) => boolean) | undefined
}

/** A task that still runs after this many milliseconds is recorded as STARTED; a shorter one is never written twice. */
const STARTED_AFTER_MS = 100

/** From a message to its outcome. Whatever is wrong with message, task or result ends as a recorded FAILURE, never as a crash. */
export function createExecutor(options: ExecutorOptions, consumer: () => Consumer, isStopping: () => boolean): Executor {
  const { app, log, maxDeliveries, observer, isRevoked } = options
  return {
    execute(delivery, signal, onEnd) {
      const startedAt = Date.now()
      if (!isRecordable(delivery.message.headers.id)) {
        log.error(
          { task: delivery.message.headers.task, queue: delivery.message.queue },
          'message has no usable id, kept aside in dead_letter',
        )
        consumer().deadLetter(delivery, { reason: delivery.refused?.message ?? 'no usable id' })
        onEnd()
        return
      }
      const problem = refusalOf(delivery, { tasks: app.tasks, maxDeliveries, now: startedAt, isRevoked })
      if (problem !== undefined) {
        refuse(delivery, problem)
        onEnd()
        return
      }
      const dueAt = options.park === undefined ? undefined : notBefore(delivery.message, startedAt)
      if (dueAt !== undefined) {
        void park(delivery, dueAt).finally(onEnd)
        return
      }
      void run(delivery, signal, startedAt).finally(onEnd)
    },
  }

  /** The outbox keeps it until its time, so that neither this worker's memory nor the broker's patience with the unacknowledged does. */
  async function park(delivery: Delivery, dueAt: Date): Promise<void> {
    const { message } = delivery
    const { id, task, eta } = message.headers
    try {
      await options.park?.({ ...message, headers: { ...message.headers, [PARKED]: eta } }, dueAt)
      log.info({ task, id, eta }, 'task is early, kept in the outbox until its time')
      consumer().finish(delivery, null)
    } catch (error) {
      log.warn({ task, id, reason: (error as Error).message }, 'task is early and could not be kept, handed back')
      consumer().requeue(delivery, { counted: false })
    }
  }

  function refuse(delivery: Delivery, { state, name, message }: Refused): void {
    const { id, task } = delivery.message.headers
    const fields = { task, id, queue: delivery.message.queue }
    if (state === 'REVOKED') log.info({ ...fields, reason: message }, 'task is not wanted any more, not run')
    else
      log.error(
        { ...fields, reason: message },
        name === 'NotRegistered' ? 'task is not registered here, recorded as FAILURE' : 'task refused, recorded as FAILURE',
      )
    const result = JSON.stringify(encodeException(name, [message]))
    const outcome = outcomeOf(delivery, state, result, null, null, Date.now())
    consumer().finish(delivery, outcome, { rejected: state === 'FAILURE' })
    observer?.ended(delivery, outcome)
  }

  async function run(delivery: Delivery, signal: AbortSignal, startedAt: number): Promise<void> {
    const { headers } = delivery.message
    const task = app.tasks.get(headers.task)!
    observer?.started(delivery)
    const timer = setTimeout(
      () => consumer().started(delivery, outcomeOf(delivery, 'STARTED', null, null, startedAt, null)),
      STARTED_AFTER_MS,
    )
    try {
      const body = decodeBody(delivery.message.body)
      const value = await task.run(createContext(delivery, body, signal, log), body.args)
      const result = encodeResult(value)
      const doneAt = Date.now()
      log.info({ task: task.name, id: headers.id, runtimeMs: doneAt - startedAt }, 'task succeeded')
      finish(delivery, task, outcomeOf(delivery, 'SUCCESS', result, null, startedAt, doneAt))
    } catch (thrown) {
      fail(delivery, task, thrown, signal, startedAt)
    } finally {
      clearTimeout(timer)
    }
  }

  /** A task that stopped because the worker asked it to has not failed: it is handed back by the worker, not recorded. */
  function fail(delivery: Delivery, task: Task, thrown: unknown, signal: AbortSignal, startedAt: number): void {
    const { id } = delivery.message.headers
    if (signal.reason instanceof Revocation) {
      log.warn({ task: task.name, id }, 'task was revoked while it ran, and stopped')
      const result = JSON.stringify(encodeException(signal.reason.name, [signal.reason.message]))
      finish(delivery, task, outcomeOf(delivery, 'REVOKED', result, null, startedAt, Date.now()))
      return
    }
    if (signal.aborted && isStopping()) {
      log.warn({ task: task.name, id }, 'task stopped with its worker, handed back to run again')
      consumer().requeue(delivery, { counted: false })
      return
    }
    const doneAt = Date.now()
    const { exception, traceback } = encodeThrown(thrown)
    finish(delivery, task, outcomeOf(delivery, 'FAILURE', JSON.stringify(exception), traceback, startedAt, doneAt))
    const fields = { task: task.name, id, runtimeMs: doneAt - startedAt }
    try {
      if (thrown instanceof UndecodableMessageError)
        log.error({ task: task.name, id, reason: thrown.message }, 'message cannot be decoded, recorded as FAILURE')
      else log.error({ ...fields, err: thrown }, 'task failed')
    } catch {
      // What was thrown throws again when it is looked at.
      log.error({ ...fields, ...exception }, 'task failed')
    }
  }

  function finish(delivery: Delivery, task: Task, outcome: Outcome): void {
    const ignored = delivery.message.headers.ignore_result ?? task.options.ignoreResult ?? false
    consumer().finish(delivery, ignored && outcome.state === 'SUCCESS' && !isOfChord(delivery.message) ? null : outcome)
    observer?.ended(delivery, outcome)
  }
}

/** The body of a chord of Celery is given what its members returned (broker/celery-chord.ts), also where it is not to be kept. */
const isOfChord = ({ headers, body }: Message): boolean => headers.group !== undefined && /"chord":\s*\{/.test(body)

/** Headers come from anybody: what the results table cannot hold counts as the first attempt. */
const retriesOf = (retries: unknown): number =>
  Number.isInteger(retries) && (retries as number) >= 0 && (retries as number) < 2 ** 31 ? (retries as number) : 0

/** A task without a value returns null, as Python's does. @throws EncodeError */
function encodeResult(value: unknown): string {
  if (value === undefined) return 'null'
  try {
    checkJson(value, 'result')
  } catch (cause) {
    throw Object.assign(new Error((cause as Error).message), { name: 'EncodeError' })
  }
  return JSON.stringify(value)
}

function outcomeOf(
  { message }: Delivery,
  state: State,
  result: string | null,
  traceback: string | null,
  startedAt: number | null,
  doneAt: number | null,
): Outcome {
  const { id, task } = message.headers
  const retries = retriesOf(message.headers.retries)
  return { id, task, state, result, traceback, queue: message.queue, retries, startedAt, doneAt }
}

function createContext({ message }: Delivery, { kwargs }: Body, signal: AbortSignal, log: Log): TaskContext {
  const { headers, queue } = message
  let own: Log | undefined
  return {
    id: headers.id,
    task: headers.task,
    queue,
    retries: retriesOf(headers.retries),
    kwargs,
    headers,
    parentId: headers.parent_id ?? undefined,
    rootId: headers.root_id ?? headers.id,
    signal,
    // A child logger costs more than most tasks do: only those that log pay for it.
    get log() {
      own ??= log.child({ task: headers.task, id: headers.id })
      return own
    },
  }
}
