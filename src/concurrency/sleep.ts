import { setTimeout as delay } from 'node:timers/promises'

/** Waits `ms` milliseconds. Resolves to false as soon as the signal aborts, else to true. Never rejects. */
export async function sleep(ms: number, signal?: AbortSignal): Promise<boolean> {
  try {
    await delay(ms, undefined, signal === undefined ? {} : { signal })
    return true
  } catch {
    return false
  }
}

/** Resolves when the signal aborts. */
export const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
