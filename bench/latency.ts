import { setTimeout as delay } from 'node:timers/promises'
import type { App } from '../src/app/app.ts'
import { createBench, percentile, root, run, stop } from './setup.ts'

const SAMPLES = 500
const WARM_UP = 50

/**
 * Measures an idle system with two processes: the time from delay() to the result at the caller. One call at a time, 5 to 15 ms
 * apart.
 */
export async function latency(): Promise<{ p50Ms: number; p99Ms: number; enqueueP50Ms: number }> {
  const bench = await createBench()
  try {
    return await latencyOf(bench.app, bench.env)
  } finally {
    await bench.drop()
  }
}

/** Measures the same for another broker, given a sending application and the environment of the worker. */
export async function latencyOf(
  app: App,
  env: Record<string, string>,
): Promise<{ p50Ms: number; p99Ms: number; enqueueP50Ms: number }> {
  const worker = run(['dist/src/main.js', 'worker'], env, root)
  const results: number[] = []
  const enqueues: number[] = []
  try {
    for (let sample = -WARM_UP; sample < SAMPLES; sample++) {
      const beganAt = performance.now()
      const handle = await app.sendTask('tasks.echo', [sample])
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
  }
  results.sort((a, b) => a - b)
  enqueues.sort((a, b) => a - b)
  return { p50Ms: percentile(results, 0.5), p99Ms: percentile(results, 0.99), enqueueP50Ms: percentile(enqueues, 0.5) }
}
