import type { Broker } from '../broker/broker.ts'
import type { Config } from '../config.ts'
import type { Log } from '../log.ts'
import { packageVersion } from '../package-root.ts'
import type { Worker } from '../worker/worker.ts'
import { createEmitter, type Emitter } from './emitter.ts'
import { createLamport } from './lamport.ts'
import { createRevoked, type Revoked } from './revoked.ts'
import { serveControl } from './serve.ts'

export interface ControlOptions {
  readonly broker: Broker
  readonly config: Config
  readonly log: Log
  /** As in `celery@host`. */
  readonly hostname: string
  readonly tasks: ReadonlyMap<string, unknown>
  /** Sends events from the beginning. */
  readonly events: boolean
  /** Asks the process to stop as SIGTERM does. */
  readonly shutdown: () => void
}

export interface Control extends Pick<Emitter, 'observer'>, Pick<Revoked, 'has'> {
  /** From here on requests are answered. Does not wait for a broker that is away. */
  attach(worker: Worker): void
  /** Answers no more, and says that the worker goes. */
  stop(): Promise<void>
}

/** Remote control and events of one worker. Made before it, because it is told of every task; attached when it runs. */
export async function createControl(options: ControlOptions): Promise<Control> {
  const { broker, config, log, hostname, tasks, shutdown } = options
  const transport = await broker.control()
  const clock = createLamport()
  const revoked = createRevoked()
  const version = packageVersion()
  let worker: Worker | undefined
  let stopped = false
  const active = () => worker?.running ?? 0
  const emitter = createEmitter({ hostname, version, transport, clock, active })
  if (options.events && !transport.carriesEvents)
    log.warn({ broker: broker.kind }, 'events are sent with RabbitMQ and Redis only, --events changes nothing here')

  return {
    observer: emitter.observer,
    has: revoked.has,
    attach(running) {
      worker = running
      const panel = { hostname, version, worker, tasks, emitter, revoked, clock, config, since: performance.now(), shutdown }
      // Events begin when requests are heard: before that a broker that is away would lose the first of them.
      serveControl(transport, panel, log).then(
        () => {
          if (options.events && transport.carriesEvents && !stopped) emitter.enable()
        },
        (error: Error) => {
          if (!stopped) log.warn({ reason: error.message }, 'remote control is not possible')
        },
      )
    },
    async stop() {
      stopped = true
      emitter.close()
      await transport.close()
    },
  }
}
