import { setTimeout as delay } from 'node:timers/promises'
import { createBench, percentile, root, run, stop } from './setup.ts'

const SAMPLES = 500
const WARM_UP = 50

/** Idle system, two processes: from the call of delay() to the value in the caller's hands, one at a time with 5 to 15 ms between. */
export async function latency(): Promise<{ p50Ms: number; p99Ms: number; enqueueP50Ms: number }> {
  const bench = await createBench()
  const worker = run(['dist/src/main.js', 'worker'], bench.env, root)
  const results: number[] = []
  const enqueues: number[] = []
  try {
    for (let sample = -WARM_UP; sample < SAMPLES; sample++) {
      const beganAt = performance.now()
      const handle = await bench.app.sendTask('tasks.echo', [sample])
      const enqueuedAt = performance.now()
      await handle.get({ timeoutMs: 10_000 })
      if (sample >= 0) {
        results.push(performance.now() - beganAt)
        enqueues.push(enqueuedAt - beganAt)
      }
      await delay(5 + Math.random() * 10)
    }
  } finally {
    await stop(worker)
    await bench.drop()
  }
  results.sort((a, b) => a - b)
  enqueues.sort((a, b) => a - b)
  return { p50Ms: percentile(results, 0.5), p99Ms: percentile(results, 0.99), enqueueP50Ms: percentile(enqueues, 0.5) }
}
