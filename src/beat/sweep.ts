/** The result of one batch of a sweep. */
export interface BatchProgress {
  /** True if more rows can be handled without a pause. */
  readonly more: boolean
  /** Number of rows that another transaction locked or changed. They are tried again after a pause. */
  readonly locked: number
}

/**
 * Goes through the rows of a query in batches. Skips rows that cannot be handled now, and rows that are due again at once, until
 * the sweep ends. Otherwise a full batch of such rows at the front would block the rows behind them.
 */
export function createSweep(batch: number) {
  let passedOver: string[] = []
  let locked = 0
  let moreTicks = false
  return {
    passedOver: (): readonly string[] => passedOver,
    /**
     * Must be called after each batch of `size` rows. `notDone`: ids that were not handled; `again`: ids that were handled and
     * are due again.
     */
    advance(size: number, notDone: readonly string[], again: readonly string[] = []): BatchProgress {
      locked += notDone.length
      moreTicks ||= again.length > 0
      if (size === batch) {
        passedOver.push(...notDone, ...again)
        return { more: true, locked: 0 }
      }
      const progress = { more: moreTicks, locked }
      passedOver = []
      locked = 0
      moreTicks = false
      return progress
    },
  }
}
