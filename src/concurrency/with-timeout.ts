/**
 * Waits for `work`, but at most `timeoutMs` milliseconds (undefined: without a limit). After that the result is that of `onTimeout`: the
 * value that it returns, or a rejection with the error that it throws. A rejection of `work` that comes later is ignored. The timer ends with
 * the wait, so it does not keep the process alive.
 */
export function withTimeout<T, Late = never>(
  work: Promise<T>,
  timeoutMs: number | undefined,
  onTimeout: () => Late,
): Promise<T | Late> {
  if (timeoutMs === undefined) return work
  return new Promise((resolve, reject) => {
    const expire = () => {
      try {
        resolve(onTimeout())
      } catch (error) {
        reject(error)
      }
    }
    const timer = setTimeout(expire, timeoutMs)
    work.then(
      (value) => {
        clearTimeout(timer)
        resolve(value)
      },
      (error: unknown) => {
        clearTimeout(timer)
        reject(error)
      },
    )
  })
}

/**
 * Waits for the end of `work`, but at most `timeoutMs` milliseconds (undefined: without a limit).
 * @returns whether `work` ended in time. Rejects only if `work` rejects in time.
 */
export const waitAtMost = (work: Promise<unknown>, timeoutMs: number | undefined): Promise<boolean> =>
  withTimeout(work.then(isDone), timeoutMs, isLate)

const isDone = () => true
const isLate = () => false
