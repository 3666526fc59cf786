import { loadavg, platform } from 'node:os'
import type { Outcome } from '../app/outcome.ts'
import type { Delivery } from '../broker/broker.ts'
import { fullHeaders } from '../message/message.ts'
import { reprOfException, reprOfJson } from './repr.ts'

export type EventFields = Readonly<Record<string, unknown>>

export interface Event extends Record<string, unknown> {
  readonly type: string
}

/** Seconds between two heartbeats. Monitors report a worker as dead after twice this time. */
export const HEARTBEAT_S = 2

/**
 * Returns an event with the fields that every event has (docs/internals/wire-protocol.md). `utcoffset` is left out: the
 * timestamp counts from the epoch, and monitors in another time zone would shift it.
 */
export const event = (type: string, sender: { hostname: string; clock: number; now: number }, fields: EventFields): Event => ({
  hostname: sender.hostname,
  pid: process.pid,
  clock: sender.clock,
  ...fields,
  timestamp: sender.now / 1000,
  type,
})

/** Fields of worker-online, worker-heartbeat and worker-offline. */
export const workerFields = (worker: { active: number; processed: number; version: string }): EventFields => ({
  freq: HEARTBEAT_S,
  active: worker.active,
  processed: worker.processed,
  loadavg: loadavg().map((load) => Math.round(load * 100) / 100),
  sw_ident: 'onedyno',
  sw_ver: worker.version,
  sw_sys: platform() === 'linux' ? 'Linux' : platform(),
})

export function receivedFields({ message }: Delivery): EventFields {
  const { id, task, argsrepr, kwargsrepr, root_id, parent_id, retries, eta, expires } = fullHeaders(message)
  const args = argsrepr ?? '[]'
  return { uuid: id, name: task, args, kwargs: kwargsrepr ?? '{}', root_id, parent_id, retries, eta, expires }
}

export const startedFields = ({ message }: Delivery): EventFields => ({ uuid: message.headers.id })

/** Returns the event of an outcome. */
export function endedEvent(outcome: Outcome): [type: string, fields: EventFields] {
  const { id: uuid, state, result, traceback, startedAt, doneAt } = outcome
  if (state === 'SUCCESS') {
    const runtime = startedAt === null || doneAt === null ? 0 : (doneAt - startedAt) / 1000
    return ['task-succeeded', { uuid, result: reprOfJson(result), runtime }]
  }
  if (state === 'REVOKED') {
    const reason = reprOfException(result)
    const terminated = reason.includes('terminated')
    return ['task-revoked', { uuid, terminated, signum: terminated ? 15 : null, expired: reason.includes('expired') }]
  }
  if (state === 'RETRY') return ['task-retried', { uuid, exception: reprOfException(result), traceback }]
  return ['task-failed', { uuid, exception: reprOfException(result), traceback }]
}
