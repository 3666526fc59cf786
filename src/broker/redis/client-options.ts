import type { RedisOptions } from 'ioredis'
import { pauseMs } from '../../concurrency/retry.ts'
import type { Platform } from '../../config.ts'
import type { AppError } from '../../errors.ts'
import type { RedisAddress } from '../../server-url.ts'

/** `replyMapping` is left out, because it would change the type of the client. */
type ClientOptions = Omit<RedisOptions, 'replyMapping'>

export interface RedisTarget {
  readonly url: string
  readonly platform: Platform
  /** Called if the server is found to be unsuitable before it was ever used, so that a role can exit. */
  readonly onRefused?: ((error: AppError) => void) | undefined
}

export const BACKOFF = { firstMs: 50, maxMs: 5000 }
/**
 * A connection without an answer for this long counts as lost. TCP alone would notice after a quarter of an hour. Milliseconds.
 */
const SILENT_MS = 30_000
/** Timeout for the answer of one Sentinel. After it, the next Sentinel is asked. Milliseconds. */
const SENTINEL_TIMEOUT_MS = 5000

/** Returns the options of ioredis. `pause` returns the milliseconds before the next attempt to connect. */
export function clientOptions(
  address: RedisAddress,
  {
    platform,
    connectionName,
    pause,
  }: { readonly platform: Platform; readonly connectionName: string; readonly pause: () => number },
): ClientOptions & { protocol: 2 } {
  return {
    ...serverOptions(address, platform),
    db: address.database,
    connectionName,
    // Every server and proxy supports protocol 2. With it, invalidations arrive as published messages (wake.ts).
    protocol: 2,
    // A command under way fails if the connection breaks. Only its caller may decide to repeat it, not the client.
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    enableOfflineQueue: false,
    autoResubscribe: false,
    disableClientInfo: true,
    noDelay: true,
    socketTimeout: SILENT_MS,
    retryStrategy: pause,
    // After a failover the former primary still answers, but refuses writes. A new connection reaches the new primary.
    reconnectOnError: (error: Error) => error.message.startsWith('READONLY'),
  }
}

function serverOptions(address: RedisAddress, platform: Platform): ClientOptions {
  // Heroku Redis has self-signed certificates (Heroku Dev Center, "Connecting to Heroku Key-Value Store").
  if (address.kind === 'server')
    return address.url.startsWith('rediss:') ? { tls: { rejectUnauthorized: platform !== 'heroku' } } : {}
  const { sentinels, master, username, password, sentinelUsername, sentinelPassword } = address
  return {
    sentinels: [...sentinels],
    name: master,
    sentinelRetryStrategy: (attempt) => pauseMs(attempt - 1, BACKOFF),
    sentinelCommandTimeout: SENTINEL_TIMEOUT_MS,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(sentinelUsername === undefined ? {} : { sentinelUsername }),
    ...(sentinelPassword === undefined ? {} : { sentinelPassword }),
  }
}
