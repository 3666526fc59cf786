import type { Consumer } from '../broker/broker.ts'
import { sleep } from '../concurrency/sleep.ts'
import { waitAtMost } from '../concurrency/with-timeout.ts'
import type { Slots } from '../database/slots.ts'
import { type SuspendableWorker, startWorker, type Worker, type WorkerOptions } from './worker.ts'

export interface LimitedQueueOptions extends WorkerOptions {
  /** Called with each worker that is started for the queue. */
  readonly onStart: (worker: Worker) => void
}

/** Time between two attempts to take free slots. If a worker dies, its queue is resumed within about a second. Milliseconds. */
const TICK_MS = 500
/** Time between two checks whether the tasks that this process waits for are over. Milliseconds. */
const WAIT_MS = 100
/**
 * Redis may list a message as running although its worker is gone, if that was a Python worker. After this time the queue does
 * not wait for such messages any longer. Milliseconds.
 */
const REDIS_WAIT_MS = 60_000

/**
 * A queue whose concurrency is limited over all workers, and the slots of it that this process has. A slot is a session advisory
 * lock. A process that has slots runs a separate worker for the queue, with as many slots as it has locks. A process without
 * slots asks again and again. With a limit of 1, a worker starts only when no worker has a message of the queue. This keeps the
 * order when a worker dies, because its message is the first again.
 */
export class LimitedQueue {
  readonly #name: string
  readonly #key: string
  readonly #options: LimitedQueueOptions
  readonly #slots: Slots
  #limit: number | undefined
  /** The limit that was valid when the slots were taken. 0: this process has no slots. */
  #limitTaken = 0
  #worker: SuspendableWorker | undefined
  /** A consumer that takes no messages. It recovers the messages of dead workers while no worker takes from the queue. */
  #standby: Consumer | undefined
  #waitingSince: number | undefined
  #loop: Promise<void> | undefined
  #rest = new AbortController()
  #stopped = false
  #failing = false

  constructor(name: string, options: LimitedQueueOptions, slots: Slots) {
    this.#name = name
    this.#key = `queue.${name}`
    this.#options = options
    this.#slots = slots
  }

  /** The worker that takes from the queue; undefined while this process has no slots. */
  get worker(): Worker | undefined {
    return this.#worker
  }

  /** Sets the limit. undefined: this process starts no more tasks of this queue. */
  set(limit: number | undefined): void {
    if (this.#limit === limit) return
    this.#limit = limit
    this.#wake()
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#rest.abort()
    // The running worker is stopped first: the loop may wait for an unreachable broker, but the worker must stop in time.
    const ended = this.#worker?.stop()
    await waitAtMost(this.#loop ?? Promise.resolve(), this.#options.graceMs)
    await (ended ?? this.#worker?.stop())
    await this.#endStandby().catch(() => {})
    await this.#slots.release(this.#key).catch(() => {})
  }

  #wake(): void {
    this.#rest.abort()
    if (this.#stopped) return
    this.#loop ??= this.#run().finally(() => {
      this.#loop = undefined
      if (this.#limit !== undefined) this.#wake()
    })
  }

  async #run(): Promise<void> {
    while (!this.#stopped && (this.#limit !== undefined || this.#worker !== undefined || this.#limitTaken > 0)) {
      this.#rest = new AbortController()
      const waitMs = await this.#attempt()
      if (waitMs > 0 && !this.#stopped) await sleep(waitMs, this.#rest.signal)
    }
  }

  async #attempt(): Promise<number> {
    try {
      const waitMs = await this.#step()
      this.#failing = false
      return waitMs
    } catch (error) {
      const fields = { queue: this.#name, reason: (error as Error).message }
      if (!this.#failing) this.#options.log.warn(fields, 'queue with a concurrency limit waits for the broker or the database')
      this.#failing = true
      return TICK_MS
    }
  }

  /** Takes slots, then starts or changes the worker. @returns milliseconds until the next step */
  async #step(): Promise<number> {
    const limit = this.#limit ?? 0
    const wanted = Math.min(limit, this.#options.concurrency)
    // The numbers of slots are at most the limit. If the limit is lower now, this process may have slots with higher numbers.
    const slots = wanted === 0 || limit < this.#limitTaken ? 0 : await this.#slots.take(this.#key, wanted, limit)
    if (slots === 0) return this.#leave()
    this.#limitTaken = limit
    if (this.#worker === undefined) return this.#start(slots)
    this.#worker.suspend(false)
    if (this.#worker.concurrency !== slots) await this.#worker.reconfigure({ concurrency: slots })
    return TICK_MS
  }

  async #start(concurrency: number): Promise<number> {
    const limit = this.#limit
    if (limit === 1 && !(await this.#isQuiet())) return WAIT_MS
    this.#waitingSince = undefined
    await this.#endStandby()
    const { onStart, ...options } = this.#options
    const worker = await startWorker({ ...options, queues: [this.#name], concurrency, inOrder: limit === 1 })
    this.#worker = worker
    onStart(worker)
    // `stop` was called while the worker started, so it could not stop this worker.
    if (this.#stopped) await worker.stop()
    const fields = { queue: this.#name, concurrency, limit: this.#limit }
    options.log.info(fields, 'worker takes messages from a queue with a concurrency limit')
    return TICK_MS
  }

  /**
   * Starts no more tasks. Tasks that run continue, and keep their slots until they are over.
   * @returns milliseconds until the next step
   */
  async #leave(): Promise<number> {
    this.#waitingSince = undefined
    await this.#endStandby()
    this.#worker?.suspend(true)
    // Claimed messages are requeued only when no task runs any more, because the next process starts them as soon as it receives
    // them.
    if (this.#worker !== undefined && this.#worker.running > 0) return WAIT_MS
    await this.#worker?.stop()
    this.#worker = undefined
    if (!(await this.#slots.release(this.#key))) return WAIT_MS
    const again = this.#limit !== undefined && this.#limit < this.#limitTaken
    this.#limitTaken = 0
    return again ? 0 : TICK_MS
  }

  /** Returns true if no worker has a message of the queue. */
  async #isQuiet(): Promise<boolean> {
    const { broker, log, name } = this.#options
    const queue = this.#name
    this.#waitingSince ??= performance.now()
    const waitedMs = performance.now() - this.#waitingSince
    const [depth] = await broker.depths([queue])
    if ((depth?.running ?? 0) === 0) return true
    if (broker.kind === 'redis' && waitedMs > REDIS_WAIT_MS) {
      const fields = { queue, running: depth?.running }
      log.warn(
        fields,
        'messages of this queue count as running but no reachable worker has them, the queue no longer waits for them',
      )
      return true
    }
    if (broker.kind !== 'amqp')
      this.#standby ??= await broker.consume({ queues: [queue], concurrency: 0, name, onDeliveries() {} })
    return false
  }

  async #endStandby(): Promise<void> {
    const ended = this.#standby
    this.#standby = undefined
    await ended?.close()
  }
}
