import type { ControlTransport } from '../broker/control-transport.ts'
import type { BrokerChoice, Config } from '../config.ts'
import type { RevokedHere } from '../worker/revocations.ts'
import type { Worker } from '../worker/worker.ts'
import type { Emitter } from './emitter.ts'
import type { Lamport } from './lamport.ts'

/** The parts of a worker that remote commands read and change. */
export interface Panel {
  readonly hostname: string
  readonly version: string
  readonly worker: Omit<Worker, 'stop'>
  readonly tasks: ReadonlyMap<string, unknown>
  readonly emitter: Emitter
  readonly revoked: Pick<RevokedHere, 'ids' | 'add' | 'addStamps'>
  /** Stores revocations for workers that start later. Never rejects: if storing fails, the failure is logged. */
  keepRevoked(ids: readonly string[], terminate: boolean): Promise<void>
  /** Binds a queue to an exchange. undefined: the broker has no exchanges. */
  readonly bindQueue: ControlTransport['bindQueue']
  readonly clock: Lamport
  readonly config: Pick<
    Config,
    'broker' | 'maxDeliveries' | 'shutdownMs' | 'publishTimeoutMs' | 'resultTtlSeconds' | 'resultMirror'
  >
  /** The value of `performance.now()` when the worker started. */
  readonly since: number
  /** Makes the process stop as SIGTERM does. */
  shutdown(): void
}

export type Arguments = Readonly<Record<string, unknown>>
/** Runs a command. Returns the answer; undefined means that no answer is sent. */
export type Command = (panel: Panel, given: Arguments) => unknown

export const brokerUrl = (choice: BrokerChoice): string | undefined =>
  choice.kind === 'amqp' ? choice.consumeUrl : choice.kind === 'redis' ? choice.url : undefined
