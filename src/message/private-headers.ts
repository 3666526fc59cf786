/** Headers that one part of onedyno sets for another part. Their names begin with `onedyno_`, and callers may not set them. */

/**
 * The eta that a message was parked for. A worker whose clock is behind sees an eta in the future again; with this header it runs the
 * message instead of parking it a second time.
 */
export const PARKED = 'onedyno_parked'

/** `end`: the message holds the key of a unique task, to be freed with its final outcome (`Effects.releasesUnique`). */
export const UNIQUE = 'onedyno_unique'

/** The number of retries of a message that has a permit under a rate limit. The next attempt has another number and needs a new permit. */
export const HAS_PERMIT = 'onedyno_placed'

/**
 * The latest time for an attempt, in milliseconds since the epoch. Set at the first retry of a task whose `retryUntil` is a number of
 * seconds, because these count from the first attempt.
 */
export const RETRY_UNTIL = 'onedyno_retry_until'
