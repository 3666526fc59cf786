/** What one batch came to. */
export interface Progress {
  /** There is more to do at once. */
  readonly more: boolean
  /** Rows that somebody else holds or changed: to be looked at again in a moment. */
  readonly held: number
}

/**
 * Batch after batch until every row of a query had its turn. Rows that cannot be done now, and rows that are there again at once, are
 * passed over until the end, so that five hundred of them at the front hold up nobody behind.
 */
export function createSweep(batch: number) {
  let passedOver: string[] = []
  let held = 0
  let behind = false
  return {
    passedOver: (): readonly string[] => passedOver,
    /** After a batch of `size` rows: the ids that were not done, and those that were and are there again. */
    advance(size: number, notDone: readonly string[], again: readonly string[] = []): Progress {
      held += notDone.length
      behind ||= again.length > 0
      if (size === batch) {
        passedOver.push(...notDone, ...again)
        return { more: true, held: 0 }
      }
      const progress = { more: behind, held }
      passedOver = []
      held = 0
      behind = false
      return progress
    },
  }
}
