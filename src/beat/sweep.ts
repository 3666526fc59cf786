/** Result of one batch. */
export interface BatchProgress {
  /** More rows can be handled without a pause. */
  readonly more: boolean
  /** Rows that another transaction locked or changed. They are tried again after a pause. */
  readonly locked: number
}

/**
 * Goes through the rows of a query in batches. Rows that cannot be handled now, and rows that are due again at once, are passed over
 * until the sweep ends, so that a full batch of them at the front does not block the rows behind.
 */
export function createSweep(batch: number) {
  let passedOver: string[] = []
  let locked = 0
  let moreTicks = false
  return {
    passedOver: (): readonly string[] => passedOver,
    /** Call it after a batch of `size` rows. `notDone`: ids that were not handled; `again`: ids that were handled and are due again. */
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
