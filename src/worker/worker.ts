import { createPlanner } from '../app/canvas/plan.ts'
import type { Broker, Delivery } from '../broker/broker.ts'
import { createUnstored, type Unstored } from '../broker/outcomes/backlog.ts'
import { waitAtMost } from '../concurrency/with-timeout.ts'
import { AppError } from '../errors.ts'
import { type Attempt, createAttempt } from './attempt/attempt.ts'
import { Shutdown } from './attempt/interruptions.ts'
import type { TimeLimits } from './attempt/limits.ts'
import { createExecutor, type ExecutorOptions } from './executor.ts'
import { createHold, type Hold } from './hold.ts'

export interface WorkerOptions extends ExecutorOptions {
  readonly broker: Broker
  /** As in `celery@host`. */
  readonly name: string
  readonly queues: readonly string[]
  /** Tasks in flight at once. */
  readonly concurrency: number
  /** From the request to stop until tasks that still run are handed back, in milliseconds. */
  readonly graceMs: number
  /** Tasks begin in the order of the queue. Messages that wait for a slot are not handed back to other workers either. */
  readonly inOrder?: boolean | undefined
  /** Shared by the workers of a process. Default: one of its own. */
  readonly unstored?: Unstored | undefined
}

/** A task that runs now. */
export interface Active {
  readonly delivery: Delivery
  /** Milliseconds since the epoch. */
  readonly startedAt: number
}

export interface Worker {
  /** Tasks that run now. */
  readonly running: number
  readonly queues: readonly string[]
  readonly concurrency: number
  active(): readonly Active[]
  /** Messages that this worker has taken and not begun. */
  reserved(): readonly Delivery[]
  /** Aborts the signal of a task that runs here, which is recorded as REVOKED unless it returns at once. @returns false when it does not run here */
  terminate(id: string): boolean
  /** Other time limits for attempts of a task that begin from now on; undefined: none. Those of a message still win. */
  setTimeLimits(task: string, limits: TimeLimits): void
  /** Another rate limit for a task in this worker; null, 0 or an empty text: none. @throws AppError TASK_OPTION_INVALID, TASK_UNKNOWN */
  setRateLimit(task: string, limit: string | number | null): void
  /** Other queues, or another number of tasks at once; tasks that run are not disturbed. Rejects when the broker or database is away. */
  reconfigure(change: { readonly queues?: readonly string[]; readonly concurrency?: number }): Promise<void>
  /**
   * Takes no more tasks, lets those that run finish within the budget, aborts and hands back the rest. Resolves when everything is
   * recorded or handed back. Asking again changes nothing.
   */
  stop(): Promise<void>
}

export interface SuspendableWorker extends Worker {
  /** Begins nothing until it is called with false; what it has taken it keeps, so that nobody else begins it meanwhile. */
  suspend(on: boolean): void
}

/** After so long in the buffer without a free slot a message goes back, so that another worker can have it. Milliseconds. */
const BUFFERED_TOO_LONG_MS = 250
/** Tasks that are started in one turn of the event loop: between turns answers, signals and heartbeats are handled. */
const STARTS_PER_TURN = 128
/** What ignores its aborted signal is handed back all the same after this many milliseconds. */
const ABORT_GRACE_MS = 500
/** How long outcomes are offered to a database that does not take them, in milliseconds: after it the process ends. */
const CLOSE_MS = 1000

const NONE: readonly Delivery[] = []

/** take → run → record → ack. The broker batches records and acknowledgements; this file only decides what runs when. */
export async function startWorker(options: WorkerOptions): Promise<SuspendableWorker> {
  const { broker, log, name, unstored = createUnstored(options.log) } = options
  let { queues, concurrency } = options
  const buffer: Delivery[] = []
  const inFlight = new Map<Delivery, Attempt>()
  /** Ids that run here: a second message with the same id waits for the first (recorded once). */
  const runningIds = new Map<string, readonly Delivery[]>()
  /** Messages that get their last chance, one at a time: so the one that ends its worker is found, and its neighbours are not blamed. */
  const lastChances: Delivery[] = []
  let lastChance: Delivery | undefined
  let consumer: Hold | undefined
  let stopping: Promise<void> | undefined
  let startedThisTurn = 0
  let suspended = false
  let idle: (() => void) | undefined

  const onDeliveries = (deliveries: readonly Delivery[]) => {
    for (const delivery of deliveries) buffer.push(delivery)
    options.observer?.received(deliveries)
    fill()
  }

  const fill = () => {
    while (inFlight.size < concurrency && buffer.length > 0 && mayStart()) {
      if (startedThisTurn >= STARTS_PER_TURN) return
      if (startedThisTurn++ === 0) setImmediate(nextTurn)
      start(buffer.shift()!)
    }
    watchBuffer()
  }

  const mayStart = () => !suspended && !unstored.isFull && consumer !== undefined && stopping === undefined

  const nextTurn = () => {
    startedThisTurn = 0
    fill()
  }

  const start = (delivery: Delivery) => {
    const { id } = delivery.message.headers
    const twins = runningIds.get(id)
    if (twins !== undefined) {
      log.info({ id, task: delivery.message.headers.task }, 'the same id runs here already, not run beside itself')
      runningIds.set(id, [...twins, delivery])
      return
    }
    if (isLastChance(delivery)) {
      if (lastChance !== undefined) {
        lastChances.push(delivery)
        return
      }
      lastChance = delivery
    }
    runningIds.set(id, NONE)
    const attempt = createAttempt(delivery, ended)
    inFlight.set(delivery, attempt)
    if (delivery.deliveries === 1) executor.execute(attempt)
    else void begin(delivery).then(() => executor.execute(attempt))
  }

  const isLastChance = ({ deliveries }: Delivery) => deliveries > 1 && deliveries === options.maxDeliveries

  /** A worker died with it before. If that cannot be written now, the task still runs: it may only be tried once more than allowed. */
  const begin = (delivery: Delivery): Promise<void> =>
    (consumer?.begin(delivery) ?? Promise.resolve()).catch((error: Error) =>
      log.warn({ reason: error.message }, 'could not write that a redelivered task begins'),
    )

  const ended = ({ delivery }: Attempt, handedBack: boolean) => {
    const { id } = delivery.message.headers
    if (!inFlight.delete(delivery)) return
    settleTwins(runningIds.get(id) ?? NONE, handedBack)
    runningIds.delete(id)
    if (lastChance === delivery) {
      lastChance = undefined
      buffer.unshift(...lastChances.splice(0, 1))
    }
    if (inFlight.size === 0) idle?.()
    fill()
  }

  /** Of an attempt that was handed back nothing is known: one of its twins may be the only message that the broker still has. */
  const settleTwins = (twins: readonly Delivery[], handedBack: boolean) => {
    if (handedBack) giveBack(twins)
    else for (const twin of twins) consumer?.finish(twin, null)
  }

  let bufferTimer: NodeJS.Timeout | undefined
  const watchBuffer = () => {
    // Without a database nobody could end it either, nor could it be noted for RabbitMQ that it was given back and nobody died.
    if (buffer.length === 0 || stopping !== undefined || options.inOrder === true || unstored.isFull) return
    bufferTimer ??= setTimeout(handBackBuffer, BUFFERED_TOO_LONG_MS, buffer.at(-1))
  }

  /** What was last in the buffer a quarter of a second ago and still is there has waited too long, and so has all before it. */
  const handBackBuffer = (last: Delivery | undefined) => {
    bufferTimer = undefined
    if (last !== undefined && !unstored.isFull && buffer.includes(last)) giveBack(buffer.splice(0, buffer.indexOf(last) + 1))
    watchBuffer()
  }

  /** What came from a queue that this worker has left is not begun here any more. */
  const handBackLeft = () => {
    const left = buffer.filter(({ message }) => !queues.includes(message.queue))
    if (left.length === 0) return
    for (const delivery of left) buffer.splice(buffer.indexOf(delivery), 1)
    giveBack(left)
  }

  const giveBack = (deliveries: readonly Delivery[]) => {
    for (const delivery of deliveries) consumer?.requeue(delivery, { counted: false })
  }

  const stop = async () => {
    const open = consumer
    if (open === undefined) return
    clearTimeout(bufferTimer)
    unwatch()
    const until = performance.now() + options.graceMs
    await waitAtMost(open.stop(), options.graceMs)
    giveBack([...buffer.splice(0), ...lastChances.splice(0)])
    log.info({ running: inFlight.size, graceMs: options.graceMs }, 'worker stops taking tasks')
    if (inFlight.size > 0) await waitForIdle(Math.max(0, until - performance.now()))
    for (const { controller } of inFlight.values()) controller.abort(new Shutdown())
    if (inFlight.size > 0) await waitForIdle(ABORT_GRACE_MS)
    for (const attempt of inFlight.values()) executor.letGo(attempt)
    await open.close(CLOSE_MS)
    log.info('worker stopped')
  }

  const waitForIdle = (ms: number) =>
    new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms)
      idle = () => {
        clearTimeout(timer)
        resolve()
      }
    })

  const executor = createExecutor(options, () => consumer!)
  const planner = createPlanner(options.route ?? options.app.routeOf)
  const taking = { queues, concurrency, name, onDeliveries, inOrder: options.inOrder, planner, unstored }
  consumer = await createHold(broker, taking)
  const unwatch = unstored.onRoom(fill)
  fill()
  log.info(
    { worker: name, queues: queues.join(','), concurrency, broker: broker.kind, tasks: options.app.tasks.size },
    'worker ready',
  )
  return {
    get running() {
      return inFlight.size
    },
    get queues() {
      return queues
    },
    get concurrency() {
      return concurrency
    },
    active: () => [...inFlight].map(([delivery, { startedAt }]) => ({ delivery, startedAt })),
    reserved: () => [...buffer, ...lastChances],
    terminate(id) {
      for (const attempt of inFlight.values()) {
        if (attempt.delivery.message.headers.id !== id) continue
        executor.terminate(attempt)
        return true
      }
      return false
    },
    suspend(on) {
      suspended = on
      fill()
    },
    setTimeLimits: executor.setTimeLimits,
    setRateLimit(name, limit) {
      const task = options.app.tasks.get(name)
      if (task === undefined) throw new AppError('TASK_UNKNOWN', `the task ${name} is not registered here`)
      options.limiter?.set(task, limit)
    },
    async reconfigure(change) {
      if (stopping !== undefined) throw new Error('the worker stops')
      await consumer?.exchange(change, () => [...inFlight.keys(), ...buffer, ...lastChances, ...[...runningIds.values()].flat()])
      queues = change.queues ?? queues
      concurrency = change.concurrency ?? concurrency
      handBackLeft()
      fill()
    },
    stop() {
      stopping ??= stop()
      return stopping
    },
  }
}
