/** Headers of our own: what one part of onedyno tells another about a message. They begin with `onedyno_`, and callers may not set them. */

/** Set on a message that was parked, to the eta that it was parked for: clocks that differ must not park it again and again. */
export const PARKED = 'onedyno_parked'

/** `end`: the message holds the key of a unique task, to be freed with its final outcome (`Effects.releasesUnique`). */
export const UNIQUE = 'onedyno_unique'

/** Set on a message that waited for its place under a rate limit, to its number of retries: it has its place, another attempt needs a new one. */
export const PLACED = 'onedyno_placed'

/** No attempt is due later: milliseconds since the epoch, set at the first retry of a task whose `retryUntil` counts from its first attempt. */
export const RETRY_UNTIL = 'onedyno_retry_until'
