import type { ControlTransport } from '../broker/control-transport.ts'
import type { WorkerObserver } from '../worker/attempt/ports.ts'
import {
  type Event,
  type EventFields,
  endedEvent,
  event,
  HEARTBEAT_S,
  receivedFields,
  startedFields,
  workerFields,
} from './events.ts'
import type { Lamport } from './lamport.ts'

export interface Emitter {
  readonly observer: WorkerObserver
  /** The number of started tasks by task name. */
  readonly totals: ReadonlyMap<string, number>
  readonly enabled: boolean
  /** Starts sending events. @returns false if events were enabled already */
  enable(): boolean
  /** Stops sending events. @returns false if events were disabled already */
  disable(): boolean
  heartbeat(): void
  /** Sends worker-offline and stops. */
  close(): void
}

export interface EmitterOptions {
  readonly hostname: string
  readonly version: string
  readonly transport: Pick<ControlTransport, 'emit' | 'carriesEvents'>
  readonly clock: Lamport
  /** Returns the number of running tasks. */
  readonly active: () => number
}

/**
 * Creates the part that counts tasks, and sends events while events are enabled. No events are sent by default, because a
 * metered broker charges for each event. Task events of one turn of the event loop leave as one message, as in Celery.
 */
export function createEmitter({ hostname, version, transport, clock, active }: EmitterOptions): Emitter {
  const totals = new Map<string, number>()
  let enabled = false
  let processed = 0
  let heart: NodeJS.Timeout | undefined
  let pending: Event[] = []

  const build = (type: string, fields: EventFields) => event(type, { hostname, clock: clock.forward(), now: Date.now() }, fields)
  const headers = { hostname }

  const worker = (type: string) =>
    transport.emit(type.replace('-', '.'), { headers, body: build(type, workerFields({ active: active(), processed, version })) })

  const task = (type: string, fields: EventFields) => {
    if (pending.length === 0) setImmediate(flush)
    pending.push(build(type, fields))
  }

  const flush = () => {
    const body = pending
    pending = []
    if (body.length > 0) transport.emit('task.multi', { headers, body })
  }

  return {
    totals,
    observer: {
      received(deliveries) {
        if (enabled) for (const delivery of deliveries) task('task-received', receivedFields(delivery))
      },
      started(delivery) {
        const { task: name } = delivery.message.headers
        processed++
        totals.set(name, (totals.get(name) ?? 0) + 1)
        if (enabled) task('task-started', startedFields(delivery))
      },
      ended(_delivery, outcome) {
        if (enabled) task(...endedEvent(outcome))
      },
    },
    get enabled() {
      return enabled
    },
    enable() {
      if (enabled) return false
      enabled = true
      worker('worker-online')
      heart = setInterval(worker, HEARTBEAT_S * 1000, 'worker-heartbeat')
      heart.unref()
      return true
    },
    disable() {
      if (!enabled) return false
      enabled = false
      clearInterval(heart)
      flush()
      return true
    },
    heartbeat: () => worker('worker-heartbeat'),
    close() {
      if (!enabled) return
      flush()
      worker('worker-offline')
      clearInterval(heart)
      enabled = false
    },
  }
}
