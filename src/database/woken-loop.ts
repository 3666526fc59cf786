import { setTimeout as delay } from 'node:timers/promises'
import { pauseMs, retry } from '../concurrency/retry.ts'
import { isTransient } from '../concurrency/transient.ts'
import { AppError } from '../errors.ts'
import type { Log } from '../log.ts'
import type { Database } from './database.ts'
import type { Subscription } from './listener.ts'

export interface WokenLoop {
  /** Resolves when the pass under way has finished. */
  stop(): Promise<void>
}

export interface WokenLoopOptions {
  readonly log: Log
  /** A NOTIFY on this channel ends the pause. */
  readonly channel: string
  /** Called for every notification. */
  readonly onNotify?: () => void
  /** Called each time the listener has connected. */
  readonly onListening?: () => void
  /** Does one pass. Resolves to the milliseconds until the next pass; 0: at once. */
  readonly pass: () => Promise<number>
  /** Longest pause in milliseconds. It is limited because a clock may be set back and a pooler may drop NOTIFY. */
  readonly maxSleepMs: number
  /** The log messages for a failed pass, and for the first pass that succeeds after it. */
  readonly words: { readonly failed: string; readonly restored: string }
}

const BACKOFF = { firstMs: 200, maxMs: 5000 }
/** Milliseconds. Notifications within this time share a pass, so a thousand commits a second cause a hundred passes. */
const GAP_MS = 10

/**
 * Repeats passes with pauses. A pause ends when its time is up or at a NOTIFY. A NOTIFY during a pass, or a reconnection, causes
 * another pass. A failed pass is repeated without limit, with a back-off that only a new connection shortens.
 */
export function startWokenLoop(database: Database, options: WokenLoopOptions): WokenLoop {
  const { log, channel, pass, maxSleepMs, words } = options
  const stopping = new AbortController()
  let woken = false
  let failures = 0
  let endRest = () => {}

  const onNotify = () => {
    woken = true
    options.onNotify?.()
    if (failures === 0) endRest()
  }
  const onConnected = () => {
    woken = true
    options.onListening?.()
    endRest()
  }

  const listen = async (): Promise<Subscription | undefined> => {
    try {
      const open = () => database.listener.listen(channel, onNotify, onConnected)
      const subscription = await retry(open, { ...BACKOFF, isRetryable: isTransient, signal: stopping.signal })
      onConnected()
      return subscription
    } catch (err) {
      if (!stopping.signal.aborted) log.error({ err, channel }, 'cannot listen, changes are noticed late')
      return undefined
    }
  }

  const attempt = async (): Promise<number> => {
    try {
      const waitMs = await pass()
      if (failures > 0) log.info(words.restored)
      failures = 0
      return waitMs
    } catch (err) {
      if (failures === 0 && isAway(err)) log.warn({ reason: (err as Error).message }, words.failed)
      else if (failures === 0) log.error({ err }, words.failed)
      return pauseMs(failures++, BACKOFF)
    }
  }

  const rest = async (ms: number) => {
    const since = performance.now()
    if (!woken || failures > 0) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, Math.min(ms, maxSleepMs))
        endRest = () => {
          clearTimeout(timer)
          resolve()
        }
      })
      endRest = () => {}
    }
    const gap = Math.min(ms, GAP_MS) - (performance.now() - since)
    if (woken && gap > 0) await delay(gap)
  }

  const run = async () => {
    while (!stopping.signal.aborted) {
      woken = false
      const waitMs = await attempt()
      if (waitMs > 0 && !stopping.signal.aborted) await rest(waitMs)
    }
  }

  const listening = listen()
  const running = run()
  return {
    async stop() {
      stopping.abort()
      endRest()
      const unlistened = listening.then((subscription) => subscription?.stop())
      await Promise.allSettled([unlistened, running])
    },
  }
}

/**
 * Returns true if the database, or another server that the pass needs, did not answer or did not write. Then the statement itself
 * is not wrong.
 */
const isAway = (error: unknown): boolean =>
  isTransient(error) || (error instanceof AppError && ['BROKER_UNREACHABLE', 'MESSAGE_UNCONFIRMED'].includes(error.code))
