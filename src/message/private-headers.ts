/** Headers that one part of onedyno sets for another part. Their names begin with `onedyno_`, and callers may not set them. */

/**
 * The eta for which the message was parked. A worker whose clock is behind would see an eta in the future again; because of this
 * header it runs the message instead of parking it a second time.
 */
export const PARKED = 'onedyno_parked'

/** Set to `end` if the message holds the key of a unique task, which its final outcome frees (`Effects.releasesUnique`). */
export const UNIQUE = 'onedyno_unique'

/**
 * Set if the message has a permit under a rate limit: the number of retries at that time. The next attempt has a higher number,
 * so it needs a new permit.
 */
export const HAS_PERMIT = 'onedyno_placed'

/**
 * The latest time at which an attempt may be due, in milliseconds since the epoch. The first retry sets it if `retryUntil` of
 * the task is a number of seconds, because these seconds count from the first attempt.
 */
export const RETRY_UNTIL = 'onedyno_retry_until'
