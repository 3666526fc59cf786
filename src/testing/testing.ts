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
import { createMemoryStore, type DeadMessage, type Waiting } from './memory-store.ts'

export type { Enqueued, Expected, TaskOrName } from './assertions.ts'

/** Length of time that a test lets pass. */
export type Duration =
  | number
  | { readonly days?: number; readonly hours?: number; readonly minutes?: number; readonly seconds?: number }

/** An application without servers: what it sends is kept here, and runs here, by the rules of the worker. */
export interface TestApp extends AsyncDisposable {
  /** Every call that was made, in its order; what workflows and retries send of themselves is not among them. */
  readonly enqueued: readonly Enqueued[]
  /** What the results table would hold, by id. */
  readonly results: ReadonlyMap<string, StoredResult>
  /** Messages that were kept aside, and why. */
  readonly deadLetters: readonly DeadMessage[]
  /** Calls that wait for their time. */
  readonly scheduled: readonly Enqueued[]
  /** The time of the test: the real one, and what `advance` added. */
  now(): Date
  /** Runs what is due, and all that follows from it at once. @returns how many attempts ran */
  run(): Promise<number>
  /** Lets time pass, and runs what comes due meanwhile, each at its time: countdowns, retries. A number is seconds. @returns how many attempts ran */
  advance(by: Duration): Promise<number>
  /** @returns the calls that fit. @throws AssertionError that lists what was enqueued instead */
  assertEnqueued(task: TaskOrName, expected?: Expected): readonly Enqueued[]
  /** @throws AssertionError that lists the calls that fit */
  assertNotEnqueued(task: TaskOrName, expected?: Omit<Expected, 'times'>): void
  /** Forgets calls, results and what waits. */
  clear(): void
}

export interface TestAppOptions {
  /** A call runs at once, before it resolves, as with Celery's task_always_eager; what is due later waits for `advance`. Default false. */
  readonly eager?: boolean
  /** With `eager`: a call whose run fails rejects with its TaskError. Default false: `get()` does. */
  readonly propagate?: boolean
  /** A task delivered more often is not run. Default 3. */
  readonly maxDeliveries?: number
}

/** Takes over the connections of an application: nothing leaves this process. Tasks that are running when it is disposed are let go. */
export function createTestApp(app: App, { eager = false, propagate = false, maxDeliveries = 3 }: TestAppOptions = {}): TestApp {
  let aheadMs = 0
  const clock = { nowMs: () => Date.now() + aheadMs }
  const store = createMemoryStore(createPlanner(app.routeOf), clock)
  const enqueued: Enqueued[] = []
  const revoked = new Set<string>()

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

  /** The next one that is due until then, in the order of their times. */
  const takeDue = (untilMs: number): Waiting | undefined => {
    const [first] = store.waiting.filter(({ dueMs }) => dueMs <= untilMs).sort((one, other) => one.dueMs - other.dueMs)
    if (first !== undefined) store.waiting = store.waiting.filter((each) => each !== first)
    return first
  }

  const runUntil = async (untilMs: number): Promise<number> => {
    for (let count = 0; ; count++) {
      const next = takeDue(Math.max(untilMs, clock.nowMs()))
      if (next === undefined) return count
      aheadMs += Math.max(0, next.dueMs - clock.nowMs())
      await runOne(next)
    }
  }

  const take = async (messages: readonly { readonly message: Message; readonly dueMs: number }[]) => {
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

  const backend: Backend = {
    publish: (messages) => take(messages.map((message) => ({ message, dueMs: clock.nowMs() }))),
    keep: (kept) =>
      take(
        kept.map(({ message, due }) => {
          const dueMs =
            due === undefined ? clock.nowMs() : 'afterSeconds' in due ? clock.nowMs() + due.afterSeconds * 1000 : due.getTime()
          return { message, dueMs }
        }),
      ),
    async send(plan) {
      store.send({ ...plan, messages: [] })
      await take(plan.messages.map((message) => ({ message, dueMs: dueOf(message, clock.nowMs()) })))
    },
    find: async (id) => store.results.get(id),
    wait: (id, signal) => store.wait(id, signal),
    forget: async (id) => void store.results.delete(id),
    group: async (id) => store.groups.get(id),
    states: async (ids) => ids.flatMap((id) => store.results.get(id)?.state ?? []),
    // Beat does not run here: no task is of a schedule.
    async revoke({ ids = [], task }) {
      for (const id of ids) revoked.add(id)
      for (const { message } of store.waiting) if (message.headers.task === task) revoked.add(message.headers.id)
      store.waiting = store.waiting.map((each) =>
        revoked.has(each.message.headers.id) ? { ...each, dueMs: clock.nowMs() } : each,
      )
      if (eager) await runUntil(clock.nowMs())
      return task === undefined ? ids : [...ids, task]
    },
    claim: async (claims) =>
      claims.map(({ key, id, forMs }) => {
        const holder = store.keys.get(key)
        if (holder !== undefined && holder.untilMs > clock.nowMs()) return { id: holder.id, taken: false }
        store.keys.set(key, { id, untilMs: clock.nowMs() + forMs })
        return { id, taken: true }
      }),
    notSent: async (claims) => {
      for (const { key } of claims) store.keys.delete(key)
    },
    close: async () => {},
  }
  app.connect(backend)
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
      aheadMs += Math.max(0, untilMs - clock.nowMs())
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

function callOf({ headers, body, queue, priority }: Message): Enqueued {
  const { id, task, eta, expires } = headers
  const { args, kwargs } = decodeBody(body)
  const at = (time: unknown) => (typeof time === 'string' ? new Date(time) : undefined)
  return { id, task, args, kwargs, queue, priority, eta: at(eta), expires: at(expires), headers }
}

/** A plan's moments were made with the real clock, a moment ago. */
const dueOf = ({ headers: { eta } }: Message, nowMs: number) =>
  eta == null ? nowMs : nowMs + Math.max(0, Date.parse(eta) - Date.now())

function msOf(by: Duration): number {
  if (typeof by === 'number') return by * 1000
  const { days = 0, hours = 0, minutes = 0, seconds = 0 } = by
  return (((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1000
}
