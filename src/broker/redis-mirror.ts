import { hostname } from 'node:os'
import type { Outcome } from '../app/outcome.ts'
import { retry } from '../retry.ts'
import { type Command, isRedisConnectionError, type RedisConnection, scriptCommand } from './redis-connection.ts'
import { MIRROR } from './redis-scripts.ts'

const BACKOFF = { firstMs: 50, maxMs: 5000 }
/** Outcomes of one script, which runs alone on the server. */
const AT_ONCE = 200

/** Outcomes where Celery's Redis result backend keeps them, for Python clients that wait there. Ours stay in PostgreSQL. */
export interface ResultMirror {
  /** Resolves when written; tried again until it is. */
  write(outcomes: readonly Outcome[]): Promise<void>
}

/**
 * As Celery writes them (reference/celery-protocol.md §3.3): `SETEX celery-task-meta-<id>` and `PUBLISH` on a channel of the same name,
 * and a SUCCESS is never overwritten.
 */
export function createRedisMirror(
  connection: RedisConnection,
  options: { readonly ttlSeconds: number; readonly worker: string; readonly prefix?: string },
): ResultMirror {
  const { prefix = '', ttlSeconds, worker } = options
  const isRetryable = (error: unknown) => !connection.closed && isRedisConnectionError(error)
  const command = (outcomes: readonly Outcome[]): Command =>
    scriptCommand(
      MIRROR,
      outcomes.map(({ id }) => `${prefix}celery-task-meta-${id}`),
      [ttlSeconds, ...outcomes.map((outcome) => resultDocument(outcome, worker))],
    )
  return {
    async write(outcomes) {
      for (let from = 0; from < outcomes.length; from += AT_ONCE)
        await retry(() => connection.pipeline([command(outcomes.slice(from, from + AT_ONCE))]), { ...BACKOFF, isRetryable })
    },
  }
}

/** The result document in Celery's order of keys. `result` and `date_done` of a task that still runs are what Celery tells then. */
export function resultDocument({ id, state, result, traceback, doneAt }: Outcome, worker = `celery@${hostname()}`): string {
  const value = state === 'STARTED' ? JSON.stringify({ pid: process.pid, hostname: worker }) : (result ?? 'null')
  const dateDone = doneAt === null ? 'null' : `"${new Date(doneAt).toISOString().replace('Z', '000+00:00')}"`
  return `{"status": "${state}", "result": ${value}, "traceback": ${JSON.stringify(traceback)}, "children": [], "date_done": ${dateDone}, "task_id": ${JSON.stringify(id)}}`
}
