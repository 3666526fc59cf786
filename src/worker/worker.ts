import { createPlanner } from '../app/canvas/plan.ts'
import type { Broker, Delivery } from '../broker/broker.ts'
import { createOutcomeBacklog, type OutcomeBacklog } from '../broker/outcomes/backlog.ts'
import { waitAtMost } from '../concurrency/with-timeout.ts'
import { AppError } from '../errors.ts'
import type { TimeLimits } from './attempt/effective-options.ts'
import { Shutdown } from './attempt/interruptions.ts'
import { type Core, createDispatch, type Dispatch, next, requeue } from './dispatch.ts'
import { createExecutor, type Executor, type ExecutorOptions } from './executor.ts'
import { createInbox } from './inbox.ts'
import { createReplaceableConsumer } from './replaceable-consumer.ts'

export interface WorkerOptions extends ExecutorOptions {
  readonly broker: Broker
  /** Name of the worker, for example `celery@host`. */
  readonly name: string
  readonly queues: readonly string[]
  /** Largest number of tasks that run at once. */
  readonly concurrency: number
  /** When the worker stops, tasks that still run after this time are requeued. Milliseconds. */
  readonly graceMs: number
  /** true: starts tasks in the order of the queue, and does not requeue messages that wait for a slot. */
  readonly inOrder?: boolean | undefined
  /** The backlog that the workers of a process share. Default: each worker has its own. */
  readonly backlog?: OutcomeBacklog | undefined
}

/** A task that runs now. */
export interface Active {
  readonly delivery: Delivery
  /** Milliseconds since the epoch. */
  readonly startedAt: number
}

export interface Worker {
  /** Number of tasks that run now. */
  readonly running: number
  readonly queues: readonly string[]
  readonly concurrency: number
  active(): readonly Active[]
  /** Returns the messages that this worker has claimed and not started. */
  reserved(): readonly Delivery[]
  /**
   * Aborts the signal of a task that runs in this worker. The task is stored as REVOKED unless it returns at once.
   * @returns false if the task does not run here
   */
  terminate(id: string): boolean
  /**
   * Changes the time limits of a task for attempts that start from now on. An undefined limit means no limit. Limits in a
   * message still override them.
   */
  setTimeLimits(task: string, limits: TimeLimits): void
  /**
   * Changes the rate limit of a task in this worker. null, 0 or an empty text removes it.
   * @throws AppError TASK_OPTION_INVALID, TASK_UNKNOWN
   */
  setRateLimit(task: string, limit: string | number | null): void
  /** Changes the queues or the concurrency. Running tasks are not interrupted. Rejects if the broker or the database is unreachable. */
  reconfigure(change: { readonly queues?: readonly string[]; readonly concurrency?: number }): Promise<void>
  /**
   * Stops the worker: takes no more messages, waits up to `graceMs` for running tasks, then aborts and requeues the tasks that
   * still run. Resolves when every outcome is stored and every other message is requeued. A second call returns the same
   * promise.
   */
  stop(): Promise<void>
}

export interface SuspendableWorker extends Worker {
  /**
   * Suspends or resumes the worker. true: starts nothing and keeps its messages, so that no other worker starts them. false:
   * starts tasks again.
   */
  suspend(on: boolean): void
}

/** When the worker stops, a task that ignores its aborted signal is requeued after this time. Milliseconds. */
const ABORT_GRACE_MS = 500
/**
 * When the worker stops, the database has this time to store the last outcomes. Then the process ends even if they are not
 * stored. Milliseconds.
 */
const CLOSE_MS = 1000

/**
 * Starts a worker, which handles each message in these steps: claim → run → store → acknowledge. This file only decides which
 * message runs when. The broker batches outcomes and acknowledgements.
 */
export async function startWorker(options: WorkerOptions): Promise<SuspendableWorker> {
  const { app, broker, log, name, queues, concurrency, inOrder, backlog = createOutcomeBacklog(options.log) } = options
  const inbox = createInbox(options.maxDeliveries)
  const core: Core = { options, backlog, inbox, state: { tag: 'opening' }, queues, concurrency, consumer: undefined }
  const executor = createExecutor(options, () => core.consumer!)
  const dispatch = createDispatch(core, executor)
  const onDeliveries = (deliveries: readonly Delivery[]) => {
    inbox.add(deliveries)
    options.observer?.received(deliveries)
    dispatch.fill()
  }
  const planner = createPlanner(options.route ?? app.routeOf)
  core.consumer = await createReplaceableConsumer(broker, { queues, concurrency, name, onDeliveries, inOrder, planner, backlog })
  core.state = next(core.state, { tag: 'opened' })
  dispatch.open()
  log.info({ worker: name, queues: queues.join(','), concurrency, broker: broker.kind, tasks: app.tasks.size }, 'worker ready')
  return workerOf(core, { options, dispatch, executor })
}

interface Parts {
  readonly options: WorkerOptions
  readonly dispatch: Dispatch
  readonly executor: Executor
}

/** Returns the interface of the worker for its callers. */
function workerOf(core: Core, parts: Parts): SuspendableWorker {
  const { inbox } = core
  const { options, dispatch, executor } = parts
  return {
    get running() {
      return inbox.running
    },
    get queues() {
      return core.queues
    },
    get concurrency() {
      return core.concurrency
    },
    active: () => [...inbox.attempts()].map(({ delivery, startedAt }) => ({ delivery, startedAt })),
    reserved: () => inbox.reserved(),
    terminate(id) {
      for (const attempt of inbox.attempts()) {
        if (attempt.delivery.message.headers.id !== id) continue
        executor.terminate(attempt)
        return true
      }
      return false
    },
    suspend(on) {
      core.state = next(core.state, { tag: on ? 'suspendAsked' : 'resumeAsked' })
      dispatch.fill()
    },
    setTimeLimits: executor.setTimeLimits,
    setRateLimit(name, limit) {
      const task = options.app.tasks.get(name)
      if (task === undefined) throw new AppError('TASK_UNKNOWN', `the task ${name} is not registered in this worker`)
      options.limiter?.set(task, limit)
    },
    async reconfigure(change) {
      if (core.state.tag === 'stopping') throw new Error('the worker is stopping and cannot be changed')
      await core.consumer?.replace(change, () => inbox.all())
      core.queues = change.queues ?? core.queues
      core.concurrency = change.concurrency ?? core.concurrency
      requeue(core, inbox.takeOtherQueues(core.queues))
      dispatch.fill()
    },
    stop() {
      if (core.state.tag === 'stopping') return core.state.done
      const done = stopWorker(core, parts)
      core.state = next(core.state, { tag: 'stopAsked', done })
      return done
    },
  }
}

/**
 * Stops a worker in these steps: stop taking → requeue waiting messages → wait for running tasks → abort them → requeue them →
 * store the remaining outcomes. Each step has a time limit.
 */
async function stopWorker({ inbox, consumer }: Core, { options, dispatch, executor }: Parts): Promise<void> {
  const { log, graceMs } = options
  const open = consumer!
  dispatch.close()
  const until = performance.now() + graceMs
  await waitAtMost(open.stop(), graceMs)
  requeue({ consumer }, inbox.takeReserved())
  log.info({ running: inbox.running, graceMs }, 'worker stops taking tasks')
  if (inbox.running > 0) await dispatch.idle(Math.max(0, until - performance.now()))
  for (const { controller } of inbox.attempts()) controller.abort(new Shutdown())
  if (inbox.running > 0) await dispatch.idle(ABORT_GRACE_MS)
  for (const attempt of inbox.attempts()) executor.cutOff(attempt)
  await open.close(CLOSE_MS)
  log.info('worker stopped')
}
