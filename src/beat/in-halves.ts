/**
 * Returns true if the server refused the values: SQLSTATE class 22 is a data exception, class 23 a constraint violation
 * (PostgreSQL 18, Appendix A).
 */
const isRefused = (error: unknown): boolean => /^2[23]/.test((error as { code?: string }).code ?? '')

/**
 * Runs one statement for a whole batch. If the server refuses the values, runs it for each half, and so on, until the bad item
 * is alone and all others are done. Throws every other error.
 * @returns the results of all statements that were not refused
 */
export async function inHalves<Item, Result>(
  items: readonly Item[],
  run: (items: readonly Item[]) => Promise<readonly Result[]>,
  onRefused: (item: Item, error: Error) => Promise<void>,
): Promise<Result[]> {
  if (items.length === 0) return []
  try {
    return [...(await run(items))]
  } catch (error) {
    if (!isRefused(error)) throw error
    if (items.length === 1) {
      await onRefused(items[0]!, error as Error)
      return []
    }
    const half = Math.ceil(items.length / 2)
    const first = await inHalves(items.slice(0, half), run, onRefused)
    return [...first, ...(await inHalves(items.slice(half), run, onRefused))]
  }
}
