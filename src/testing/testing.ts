import type { App } from '../app/app.ts'
import type { Backend } from '../app/backend.ts'
import { createPlanner } from '../app/canvas/plan.ts'
import { READY_STATES } from '../app/outcome.ts'
import type { StoredResult } from '../app/results/stored-result.ts'
import { TaskError } from '../app/results/task-error.ts'
import type { Consumer, Delivery } from '../broker/broker.ts'
import { silentLog } from '../log.ts'
import { decodeBody, type Message } from '../message/message.ts'
import { registerMapTasks } from '../tasks/canvas.ts'
import { createAttempt } from '../worker/attempt/attempt.ts'
import { createExecutor, type ExecutorOptions } from '../worker/executor.ts'
import { assertEnqueued, assertNotEnqueued, type Enqueued, type Expected, type TaskOrName } from './assertions.ts'
import { createMemoryStore, type DeadMessage, type MemoryStore, type Waiting } from './memory-store.ts'

export type { Enqueued, Expected, TaskOrName } from './assertions.ts'

/** The time by which a test moves its clock ahead. A number is seconds. */
export type Duration =
  | number
  | { readonly days?: number; readonly hours?: number; readonly minutes?: number; readonly seconds?: number }

/** An application without servers. Its calls are kept in memory and run in this process, with the executor of the worker. */
export interface TestApp extends AsyncDisposable {
  /** All calls, in order, without the messages that workflows and retries send. */
  readonly enqueued: readonly Enqueued[]
  /** The results by id, with the fields of the results table. */
  readonly results: ReadonlyMap<string, StoredResult>
  /** Dead letters with their reasons. */
  readonly deadLetters: readonly DeadMessage[]
  /** Calls that are not due yet. */
  readonly scheduled: readonly Enqueued[]
  /** The time of the test: the real time plus the time that `advance` added. */
  now(): Date
  /** Runs the calls that are due, and the messages that they send if these are due at once. @returns how many attempts ran */
  run(): Promise<number>
  /**
   * Moves the clock ahead and runs each call that becomes due, at its due time (countdowns, retries).
   * @returns how many attempts ran
   */
  advance(by: Duration): Promise<number>
  /** Asserts that matching calls were enqueued. @throws AssertionError that lists the enqueued calls */
  assertEnqueued(task: TaskOrName, expected?: Expected): readonly Enqueued[]
  /** Asserts that no matching call was enqueued. */
  assertNotEnqueued(task: TaskOrName, expected?: Omit<Expected, 'times'>): void
  /** Deletes calls, results and waiting messages. */
  clear(): void
}

export interface TestAppOptions {
  /**
   * true: a call runs before its promise resolves, as with Celery's task_always_eager. A call with a later due time waits for
   * `advance`. Default false.
   */
  readonly eager?: boolean
  /** With `eager`, true: a call rejects with the TaskError of its task if the task fails. Default false: only `get()` rejects. */
  readonly propagate?: boolean
  /** A message that is delivered more often than this does not run. Default 3. */
  readonly maxDeliveries?: number
}

/**
 * Replaces the connections of an application, so that nothing leaves this process. When the returned object is disposed, tasks
 * that still run are abandoned.
 */
export function createTestApp(app: App, { eager = false, propagate = false, maxDeliveries = 3 }: TestAppOptions = {}): TestApp {
  const clock = createClock()
  const store = createMemoryStore(createPlanner(app.routeOf), clock)
  const enqueued: Enqueued[] = []
  const revoked = new Set<string>()
  const runUntil = createRun(app, { store, clock, revoked, maxDeliveries })

  const take = async (messages: readonly Waiting[]) => {
    for (const { message } of messages) enqueued.push(callOf(message))
    store.waiting.push(...messages)
    if (!eager) return
    await runUntil(clock.nowMs())
    if (!propagate) return
    for (const { message } of messages) {
      const stored = store.results.get(message.headers.id)
      if (stored !== undefined && READY_STATES.has(stored.state) && stored.state !== 'SUCCESS') throw new TaskError(stored)
    }
  }
  const runNow = async () => {
    if (eager) await runUntil(clock.nowMs())
  }
  app.connect(createBackend({ store, clock, revoked, take, runNow }))
  registerMapTasks(app)

  return {
    enqueued,
    results: store.results,
    deadLetters: store.deadLetters,
    get scheduled() {
      return store.waiting.filter(({ dueMs }) => dueMs > clock.nowMs()).map(({ message }) => callOf(message))
    },
    now: () => new Date(clock.nowMs()),
    run: () => runUntil(clock.nowMs()),
    async advance(by) {
      const untilMs = clock.nowMs() + msOf(by)
      const count = await runUntil(untilMs)
      clock.jumpTo(untilMs)
      return count
    },
    assertEnqueued: (task, expected) => assertEnqueued(enqueued, task, expected),
    assertNotEnqueued: (task, expected) => assertNotEnqueued(enqueued, task, expected),
    clear() {
      enqueued.length = 0
      store.waiting = []
      for (const kept of [store.results, store.groups, store.keys, revoked]) kept.clear()
      store.deadLetters.length = 0
    },
    async [Symbol.asyncDispose]() {
      await app.close()
    },
  }
}

/** The clock of the test: the real time plus the time by which it was moved ahead. Milliseconds since the epoch. */
interface Clock {
  nowMs(): number
  /** Moves the clock ahead to a time. Does nothing if this time has passed. */
  jumpTo(ms: number): void
}

function createClock(): Clock {
  let aheadMs = 0
  const nowMs = () => Date.now() + aheadMs
  return {
    nowMs,
    jumpTo(ms) {
      aheadMs += Math.max(0, ms - nowMs())
    },
  }
}

interface RunParts {
  readonly store: MemoryStore
  readonly clock: Clock
  readonly revoked: ReadonlySet<string>
  readonly maxDeliveries: number
}

/** Runs the waiting messages that are due until a time, in the order of their due times. @returns how many attempts ran */
function createRun(app: App, { store, clock, revoked, maxDeliveries }: RunParts): (untilMs: number) => Promise<number> {
  const consumer: Pick<Consumer, 'finish' | 'started' | 'acknowledge' | 'requeue' | 'deadLetter' | 'begin'> = {
    finish: ({ message }, outcome, options) => store.record(outcome, message.headers.id, options?.effects),
    started: (_delivery, outcome) => store.record(outcome, outcome.id),
    acknowledge: async () => true,
    requeue: ({ message, deliveries }, { counted }) => {
      store.waiting.push({ message, dueMs: clock.nowMs(), ...(counted && { deliveries: deliveries + 1 }) })
    },
    deadLetter: ({ message }, { reason }) => void store.deadLetters.push({ message, reason }),
    begin: async () => {},
  }
  const options: ExecutorOptions = { app, log: silentLog(), maxDeliveries, isRevoked: ({ headers }) => revoked.has(headers.id) }
  const executor = createExecutor(options, () => consumer as Consumer)

  const runOne = ({ message, ...how }: Waiting & { readonly deliveries?: number }) =>
    new Promise<void>((resolve) => {
      const delivery: Delivery = { message, deliveries: how.deliveries ?? 1, tag: undefined }
      executor.execute(createAttempt(delivery, () => resolve(), clock.nowMs()))
    })

  const takeDue = (untilMs: number): Waiting | undefined => {
    const [first] = store.waiting.filter(({ dueMs }) => dueMs <= untilMs).sort((one, other) => one.dueMs - other.dueMs)
    if (first !== undefined) store.waiting = store.waiting.filter((each) => each !== first)
    return first
  }

  return async (untilMs) => {
    for (let count = 0; ; count++) {
      const due = takeDue(Math.max(untilMs, clock.nowMs()))
      if (due === undefined) return count
      clock.jumpTo(due.dueMs)
      await runOne(due)
    }
  }
}

interface BackendParts {
  readonly store: MemoryStore
  readonly clock: Clock
  readonly revoked: Set<string>
  readonly take: (messages: readonly Waiting[]) => Promise<void>
  /** Runs due messages if the option `eager` is set. */
  readonly runNow: () => Promise<void>
}

function createBackend({ store, clock, revoked, take, runNow }: BackendParts): Backend {
  const { nowMs } = clock
  return {
    publish: (messages) => take(messages.map((message) => ({ message, dueMs: nowMs() }))),
    keep: (kept) =>
      take(
        kept.map(({ message, due }) => {
          const dueMs = due === undefined ? nowMs() : 'afterSeconds' in due ? nowMs() + due.afterSeconds * 1000 : due.getTime()
          return { message, dueMs }
        }),
      ),
    async send(plan) {
      store.send({ ...plan, messages: [] })
      await take(plan.messages.map((message) => ({ message, dueMs: dueOf(message, nowMs()) })))
    },
    find: async (id) => store.results.get(id),
    wait: (id, signal) => store.wait(id, signal),
    forget: async (id) => void store.results.delete(id),
    group: async (id) => store.groups.get(id),
    states: async (ids) => ids.flatMap((id) => store.results.get(id)?.state ?? []),
    // A test has no beat, so no task belongs to a schedule.
    async revoke({ ids = [], task }) {
      for (const id of ids) revoked.add(id)
      for (const { message } of store.waiting) if (message.headers.task === task) revoked.add(message.headers.id)
      store.waiting = store.waiting.map((each) => (revoked.has(each.message.headers.id) ? { ...each, dueMs: nowMs() } : each))
      await runNow()
      return task === undefined ? ids : [...ids, task]
    },
    claim: async (claims) =>
      claims.map(({ key, id, forMs }) => {
        const holder = store.keys.get(key)
        if (holder !== undefined && holder.untilMs > nowMs()) return { id: holder.id, taken: false }
        store.keys.set(key, { id, untilMs: nowMs() + forMs })
        return { id, taken: true }
      }),
    notSent: async (claims) => {
      for (const { key } of claims) store.keys.delete(key)
    },
    close: async () => {},
  }
}

function callOf({ headers, body, queue, priority }: Message): Enqueued {
  const { id, task, eta, expires } = headers
  const { args, kwargs } = decodeBody(body)
  const at = (time: unknown) => (typeof time === 'string' ? new Date(time) : undefined)
  return { id, task, args, kwargs, queue, priority, eta: at(eta), expires: at(expires), headers }
}

/** The eta of a planned message was just computed with the real clock, so it is moved to the clock of the test. */
const dueOf = ({ headers: { eta } }: Message, nowMs: number) =>
  eta == null ? nowMs : nowMs + Math.max(0, Date.parse(eta) - Date.now())

function msOf(by: Duration): number {
  if (typeof by === 'number') return by * 1000
  const { days = 0, hours = 0, minutes = 0, seconds = 0 } = by
  return (((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1000
}
