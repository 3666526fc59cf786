import { sleep } from '../concurrency/sleep.ts'

/** Waits for the end of `work`, no longer than `withinMs` milliseconds if they are given. @returns whether it ended. Never rejects after that time. */
export async function endsWithin(work: Promise<unknown>, withinMs?: number): Promise<boolean> {
  if (withinMs === undefined) {
    await work
    return true
  }
  const ended = new AbortController()
  const worked = work.then(() => true).finally(() => ended.abort())
  return Promise.race([worked, sleep(withinMs, ended.signal).then((timeIsUp) => (timeIsUp ? false : worked))])
}
