import { pauseMs } from '../concurrency/retry.ts'
import { sleep } from '../concurrency/sleep.ts'
import { MAX_REVOKED, type Revocations, type Revoked } from '../database/revocations.ts'
import { startStep } from '../database/start-step.ts'
import type { Log } from '../log.ts'
import type { Message } from '../message/message.ts'
import { stampKeys } from '../message/stamps.ts'

/** The revoked tasks of the table, loaded before the worker takes its first message. */
export interface RevokedHere {
  /** Returns true for a message of a revoked task. HOT: once per task. */
  isRevoked(message: Message): boolean
  /** Returns the revoked ids, for `inspect revoked`. */
  ids(): string[]
  /** Adds ids in this process at once. The caller stores them in the table. */
  add(ids: readonly string[]): void
  /** Adds stamps here: a task that has one of them is revoked. They are not stored. */
  addStamps(stamps: unknown): void
  stop(): Promise<void>
}

/**
 * Messages of other producers have no time of sending. After a revoke by name, they count as sent before it for this time.
 * Milliseconds.
 */
const UNDATED_MS = 3_600_000
const BACKOFF = { firstMs: 100, maxMs: 5000 }

/**
 * Loads the revoked tasks and listens for new ones. `onTerminate` is called with tasks that must be stopped even if they run. If
 * the connection to the database is lost, known tasks stay revoked; after a reconnection the table is read again.
 */
export async function startRevocations(
  revocations: Revocations,
  log: Log,
  onTerminate: (matches: (message: Message) => boolean) => void,
): Promise<RevokedHere> {
  const ids = new Map<string, number>()
  const tasks = new Map<string, number>()
  const stamps = new Map<string, number>()
  const stopping = new AbortController()
  let loading: Promise<void> | undefined
  let again = false

  const load = async () => {
    for (let attempt = 0; !stopping.signal.aborted; ) {
      again = false
      try {
        const rows = await revocations.list()
        ids.clear()
        tasks.clear()
        for (const { kind, value, revoked_ms } of rows.reverse()) (kind === 'id' ? ids : tasks).set(value, revoked_ms)
        if (!again) return
        attempt = 0
      } catch (error) {
        if (attempt === 0) log.warn({ reason: (error as Error).message }, 'revoked tasks cannot be read, retrying')
        await sleep(pauseMs(attempt++, BACKOFF), stopping.signal)
      }
    }
  }
  const reload = () => {
    again = true
    loading ??= load().finally(() => {
      loading = undefined
    })
  }

  const remember = (known: Map<string, number>, values: readonly string[]) => {
    for (const value of values) {
      known.delete(value)
      known.set(value, Date.now())
    }
    for (const [oldest] of known) if (known.size > MAX_REVOKED) known.delete(oldest)
  }

  const onRevoked = ({ kind, values, terminate }: Revoked) => {
    remember(kind === 'id' ? ids : tasks, values)
    log.info({ kind, values, terminate }, 'revoke received')
    const named = new Set(values)
    if (terminate) onTerminate(({ headers }) => named.has(kind === 'id' ? headers.id : headers.task))
  }

  const subscription = await startStep(() => revocations.listen(onRevoked, reload))
  await load()
  return {
    isRevoked({ headers }) {
      if (ids.size === 0 && tasks.size === 0 && stamps.size === 0) return false
      if (ids.has(headers.id)) return true
      if (stamps.size > 0 && stampKeys(headers.stamps).some((key) => stamps.has(key))) return true
      const since = tasks.get(headers.task)
      return since !== undefined && (sentAt(headers) ?? Date.now() - UNDATED_MS) <= since
    },
    ids: () => [...ids.keys()],
    add: (more) => remember(ids, more),
    addStamps: (more) => remember(stamps, stampKeys(more)),
    async stop() {
      stopping.abort()
      await subscription.stop()
      await loading
    },
  }
}

/**
 * Returns the time when a message was sent; undefined if it is not known. Our ids are UUIDv7, which begin with the milliseconds;
 * a run of a schedule carries its tick.
 */
function sentAt({ id, beat }: Message['headers']): number | undefined {
  if (/^[\da-f]{8}-[\da-f]{4}-7/i.test(id)) return Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16)
  const tick = (beat as { tick?: unknown } | undefined)?.tick
  const at = typeof tick === 'string' ? Date.parse(tick) : Number.NaN
  return Number.isNaN(at) ? undefined : at
}
