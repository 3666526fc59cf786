import { setTimeout as delay } from 'node:timers/promises'

/** Polls until the result is truthy. For conditions without an event. Throws with the name of the condition after `timeoutMs`. */
export async function until<T>(what: string, ask: () => T | Promise<T>, timeoutMs = 15_000): Promise<NonNullable<T>> {
  const giveUpAt = performance.now() + timeoutMs
  for (;;) {
    const answer = await ask()
    if (answer) return answer as NonNullable<T>
    if (performance.now() > giveUpAt) throw new Error(`waited ${timeoutMs} ms for: ${what}`)
    await delay(10)
  }
}
