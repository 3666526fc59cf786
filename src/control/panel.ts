import type { BrokerChoice, Config } from '../config.ts'
import type { RevokedHere } from '../worker/revocations.ts'
import type { Worker } from '../worker/worker.ts'
import type { Emitter } from './emitter.ts'
import type { Lamport } from './lamport.ts'

/** What remote commands look at and turn. */
export interface Panel {
  readonly hostname: string
  readonly version: string
  readonly worker: Omit<Worker, 'stop'>
  readonly tasks: ReadonlyMap<string, unknown>
  readonly emitter: Emitter
  readonly revoked: Pick<RevokedHere, 'ids' | 'add'>
  /** For the workers that come later. Never rejects: it is logged when the database cannot take it. */
  keepRevoked(ids: readonly string[], terminate: boolean): Promise<void>
  readonly clock: Lamport
  readonly config: Pick<
    Config,
    'broker' | 'maxDeliveries' | 'shutdownMs' | 'publishTimeoutMs' | 'resultTtlSeconds' | 'resultMirror'
  >
  /** `performance.now()` of the beginning. */
  readonly since: number
  /** Asks the process to stop as SIGTERM does. */
  shutdown(): void
}

export type Arguments = Readonly<Record<string, unknown>>
/** The answer of a command; undefined: none is sent. */
export type Command = (panel: Panel, given: Arguments) => unknown

export const brokerUrl = (choice: BrokerChoice): string | undefined =>
  choice.kind === 'amqp' ? choice.consumeUrl : choice.kind === 'redis' ? choice.url : undefined
