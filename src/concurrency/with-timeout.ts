/**
 * Waits for `work`, but at most `timeoutMs` milliseconds (undefined: without a limit). After this time returns the value of
 * `onTimeout`, or rejects with the error that it throws. A later rejection of `work` is ignored. The timer ends with the wait,
 * so it does not keep the process alive.
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
