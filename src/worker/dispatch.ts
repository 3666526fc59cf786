import type { Delivery } from '../broker/broker.ts'
import type { OutcomeBacklog } from '../broker/outcomes/backlog.ts'
import type { Log } from '../log.ts'
import { type Attempt, createAttempt } from './attempt/attempt.ts'
import type { Executor } from './executor.ts'
import type { Inbox } from './inbox.ts'
import type { ReplaceableConsumer } from './replaceable-consumer.ts'

/** Says whether a worker may start tasks. */
export type WorkerState =
  /** The consumer is not open yet. Messages that arrive wait. */
  | { readonly tag: 'opening' }
  /** The worker starts tasks while slots are free. */
  | { readonly tag: 'taking' }
  /** The worker starts nothing and keeps its messages, so that no other worker starts them. */
  | { readonly tag: 'suspended' }
  /** The worker starts nothing any more. `done` resolves when every outcome is stored and every other message is requeued. */
  | { readonly tag: 'stopping'; readonly done: Promise<void> }

export type WorkerEvent =
  | { readonly tag: 'opened' }
  | { readonly tag: 'suspendAsked' }
  | { readonly tag: 'resumeAsked' }
  | { readonly tag: 'stopAsked'; readonly done: Promise<void> }

/** Returns the next state. Pure. The table in test/src/worker/dispatch.test.ts is its specification. */
export function next(state: WorkerState, event: WorkerEvent): WorkerState {
  switch (event.tag) {
    case 'opened':
      return state.tag === 'opening' ? { tag: 'taking' } : state
    case 'suspendAsked':
      return state.tag === 'taking' ? { tag: 'suspended' } : state
    case 'resumeAsked':
      return state.tag === 'suspended' ? { tag: 'taking' } : state
    case 'stopAsked':
      return state.tag === 'stopping' ? state : { tag: 'stopping', done: event.done }
    default:
      throw new Error(`unhandled event ${event satisfies never}`)
  }
}

export interface DispatchOptions {
  readonly log: Log
  readonly inOrder?: boolean | undefined
}

/** The state that the parts of one worker share. */
export interface Core {
  readonly options: DispatchOptions
  readonly backlog: OutcomeBacklog
  readonly inbox: Inbox
  state: WorkerState
  queues: readonly string[]
  concurrency: number
  /** The consumer; undefined in the state `opening`. */
  consumer: ReplaceableConsumer | undefined
}

/** A message that waits for a slot for this time is requeued, so that another worker can have it. Milliseconds. */
const WAITS_TOO_LONG_MS = 250
/**
 * Largest number of tasks that start in one turn of the event loop. Between turns, answers, signals and heartbeats are handled.
 */
const STARTS_PER_TURN = 128

export function requeue({ consumer }: Pick<Core, 'consumer'>, deliveries: readonly Delivery[]): void {
  for (const delivery of deliveries) consumer?.requeue(delivery, { counted: false })
}

/** Starts messages of the inbox while slots are free. */
export interface Dispatch {
  open(): void
  /** HOT: called for each batch of messages and for each end of a task. */
  fill(): void
  /** Waits until no task runs, for at most `ms` milliseconds. */
  idle(ms: number): Promise<void>
  /** Stops the timer and the observation of the backlog. */
  close(): void
}

export function createDispatch(core: Core, executor: Executor): Dispatch {
  const { inbox, backlog, options } = core
  const { log } = options
  const waitLimit = createWaitLimit(core)
  let startedThisTurn = 0
  let onIdle: (() => void) | undefined
  let unwatch: (() => void) | undefined

  const fill = () => {
    while (inbox.running < core.concurrency && inbox.waiting > 0 && core.state.tag === 'taking' && !backlog.isFull) {
      if (startedThisTurn >= STARTS_PER_TURN) return
      if (startedThisTurn++ === 0) setImmediate(nextTurn)
      start(inbox.shift()!)
    }
    waitLimit.watch()
  }

  const nextTurn = () => {
    startedThisTurn = 0
    fill()
  }

  const start = (delivery: Delivery) => {
    const turn = inbox.turnOf(delivery)
    if (turn === 'duplicate') {
      const { id, task } = delivery.message.headers
      log.info({ id, task }, 'duplicate message waits until the task with the same id ends')
    }
    if (turn !== 'run') return
    const attempt = createAttempt(delivery, ended)
    inbox.started(attempt)
    if (delivery.deliveries === 1) executor.execute(attempt)
    else void begin(delivery).then(() => executor.execute(attempt))
  }

  /**
   * Counts a delivery of a message with which a worker died before. If the database does not answer, the task still runs, and
   * may then run once more often than allowed.
   */
  const begin = (delivery: Delivery): Promise<void> =>
    core
      .consumer!.begin(delivery)
      .catch((error: Error) =>
        log.warn({ reason: error.message }, 'start of a redelivered task could not be stored, the task runs nevertheless'),
      )

  const ended = ({ delivery }: Attempt, requeued: boolean) => {
    const duplicates = inbox.ended(delivery)
    if (duplicates === undefined) return
    // If the attempt was requeued, its outcome is unknown, and a duplicate may be the only message that the broker still has.
    if (requeued) requeue(core, duplicates)
    else for (const duplicate of duplicates) core.consumer?.finish(duplicate, null)
    if (inbox.running === 0) onIdle?.()
    fill()
  }

  return {
    open() {
      unwatch = backlog.onRoom(fill)
      fill()
    },
    fill,
    idle: (ms) =>
      new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ms)
        onIdle = () => {
          clearTimeout(timer)
          resolve()
        }
      }),
    close() {
      waitLimit.close()
      unwatch?.()
    },
  }
}

/** Requeues messages that wait too long for a slot. */
function createWaitLimit(core: Core): { watch(): void; close(): void } {
  const { inbox, backlog, options } = core
  let timer: NodeJS.Timeout | undefined

  /** Watches the last waiting message. HOT: called for each end of a task. */
  const watch = () => {
    const { last } = inbox
    if (last === undefined || options.inOrder === true || core.state.tag === 'opening' || core.state.tag === 'stopping') return
    // If the database does not answer, no other worker can store an outcome either, and RabbitMQ would count the requeue as a
    // death.
    if (!backlog.isFull) timer ??= setTimeout(requeueLate, WAITS_TOO_LONG_MS, last)
  }

  /**
   * `last` was the last waiting message when the timer started. If it still waits, it has waited too long, and so have all
   * messages before it.
   */
  const requeueLate = (last: Delivery) => {
    timer = undefined
    if (!backlog.isFull) requeue(core, inbox.takeUpTo(last))
    watch()
  }

  return { watch, close: () => clearTimeout(timer) }
}
