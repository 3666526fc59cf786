import type { Revoke } from '../app/calls/revoke.ts'
import type { Broker } from '../broker/broker.ts'
import type { Config } from '../config.ts'
import type { Log } from '../log.ts'
import { packageVersion } from '../package-root.ts'
import type { RevokedHere } from '../worker/revocations.ts'
import type { Worker } from '../worker/worker.ts'
import { createEmitter, type Emitter } from './emitter.ts'
import { createLamport } from './lamport.ts'
import { serveControl } from './serve.ts'

export interface ControlOptions {
  readonly broker: Broker
  readonly config: Config
  readonly log: Log
  /** The name of the worker, as in `celery@host`. */
  readonly hostname: string
  readonly tasks: ReadonlyMap<string, unknown>
  /** true: sends events from the start (`--events`). */
  readonly events: boolean
  /** Makes the process stop as SIGTERM does. */
  readonly shutdown: () => void
  readonly revoked: Pick<RevokedHere, 'ids' | 'add' | 'addStamps'>
  readonly revoke: Revoke
}

export interface Control extends Pick<Emitter, 'observer'> {
  /** Starts to answer requests. Does not wait for a broker that is unreachable. */
  attach(worker: Worker): void
  /** Stops answering, and sends worker-offline. */
  stop(): Promise<void>
}

/**
 * Creates the remote control and the events of one worker. Call it before the worker is created, because it observes every task;
 * call `attach` when the worker runs.
 */
export async function createControl(options: ControlOptions): Promise<Control> {
  const { broker, config, log, hostname, tasks, shutdown, revoked } = options
  const transport = await broker.control()
  const clock = createLamport()
  const version = packageVersion()
  let worker: Worker | undefined
  let stopped = false
  const active = () => worker?.running ?? 0
  const emitter = createEmitter({ hostname, version, transport, clock, active })
  if (options.events && !transport.carriesEvents)
    log.warn({ broker: broker.kind }, 'events need RabbitMQ or Redis, --events has no effect')

  const keepRevoked = async (ids: readonly string[], terminate: boolean) => {
    try {
      await options.revoke({ ids }, { terminate })
    } catch (error) {
      log.warn({ ids, reason: (error as Error).message }, 'revoked here, but not stored for workers that start later')
    }
  }

  return {
    observer: emitter.observer,
    attach(running) {
      worker = running
      const parts = { hostname, version, worker, tasks, emitter, revoked, clock, config }
      const panel = { ...parts, bindQueue: transport.bindQueue, keepRevoked, shutdown, since: performance.now() }
      // Events start only after requests are received. An earlier start would lose the first events if the broker is
      // unreachable.
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
