import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { chain, chord } from '../../../src/app/canvas/canvas.ts'
import type { TaskSignature } from '../../../src/app/canvas/signature.ts'
import { TaskError } from '../../../src/app/results/task-error.ts'
import { query } from '../../support/database.ts'
import { onEveryBroker, type TaskFixture } from '../../support/task-worker.ts'
import { until } from '../../support/until.ts'

const WORKFLOWS = 120
const KILLS = 4
const FAILED = 'failed'

/** A workflow and the result that it has for a given value. */
interface Part {
  readonly signature: TaskSignature
  readonly endOf: (before: unknown) => unknown
}

/** Random numbers below `end`, the same for the same seed (linear congruential generator of Numerical Recipes). */
function numbers(seed: number): (end: number) => number {
  let state = seed
  return (end) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * end)
  }
}

/** Random workflows whose steps fail, are retried and have callbacks. */
function createParts(at: TaskFixture, below: (end: number) => number) {
  let count = 0
  const told = (name: string) => at.app.signature('chaos.told', [name])
  const step = (): Part => {
    const name = `step${count++}`
    const fails = below(15) === 0
    const way = { name, fails, ms: below(60), retries: below(4) === 0 ? 1 + below(2) : 0, countdown: below(3) * 0.3 }
    let signature: TaskSignature = at.app.signature('chaos.step', [way])
    if (below(6) === 0) signature = signature.link(told(name))
    if (below(6) === 0) signature = signature.linkError(told(name))
    return { signature, endOf: (before) => (before === FAILED || fails ? FAILED : [before, name]) }
  }
  const several = (depth: number, most: number) => Array.from({ length: 1 + below(most) }, () => part(depth - 1))
  const part = (depth: number): Part => {
    if (depth === 0 || below(4) === 0) return step()
    const parts = several(depth, 4)
    const signatures = parts.map(({ signature }) => signature)
    if (below(2) === 0) {
      const [first, ...rest] = [step(), ...parts]
      const signature: TaskSignature = chain(first!.signature, ...rest.map((each) => each.signature))
      return { signature, endOf: (before) => [first!, ...rest].reduce((value, each) => each.endOf(value), before) }
    }
    const body = step()
    const endOf = (before: unknown) => {
      const values = parts.map((each) => each.endOf(before))
      return before === FAILED || values.includes(FAILED) ? FAILED : body.endOf(values)
    }
    return { signature: chord(signatures, body.signature) as TaskSignature, endOf }
  }
  return part
}

onEveryBroker('workflows of every kind', (at) => {
  /** Two workers, of which one is killed again and again, and database connections that break at random. */
  const disturb = async () => {
    const mark = `chaos_${randomBytes(4).toString('hex')}`
    // Not parsed as a URL, because the URL of a socket has no host.
    const url = `${at.schema.url}${at.schema.url.includes('?') ? '&' : '?'}application_name=${mark}`
    const start = () =>
      at.process('test/fixtures/apps/chaos.ts', { env: { MAX_DELIVERIES: '100', DATABASE_URL: url, CONCURRENCY: '20' } })
    const workers = [await start(), await start()]
    for (let kill = 0; kill < KILLS; kill++) {
      await delay(700)
      const victim = workers[kill % 2]!
      victim.kill('SIGKILL')
      if (kill % 2 === 0)
        await query(at.schema.url, 'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1', [mark])
      await victim.exited
      workers[kill % 2] = await start()
    }
  }

  it('have the expected results although workers are killed, and leave no rows behind in the database', async () => {
    const seed = Date.now() % 1_000_000
    const part = createParts(at, numbers(seed))
    const disturbed = disturb()
    const ends: Promise<unknown>[] = []
    const wanted: unknown[] = []
    for (let n = 0; n < WORKFLOWS; n++) {
      const { signature, endOf } = part(n % 4)
      wanted.push(endOf(n))
      const handle = await signature.delay(n)
      ends.push(handle.get({ timeoutMs: 50_000 }).catch((error) => (error instanceof TaskError ? FAILED : error)))
      await delay(20)
    }
    await disturbed
    expect(await Promise.all(ends), `seed ${seed}`).toEqual(wanted)
    const left = `SELECT (SELECT count(*) FROM $message) + (SELECT count(*) FROM $outbox) + (SELECT count(*) FROM $chord)
      + (SELECT count(*) FROM $chord_member) + (SELECT count(*) FROM $dead_letter) + (SELECT count(*) FROM $redelivery)
      + (SELECT count(*) FROM $task_result WHERE done_at IS NULL) AS n`
    await until(`nothing is left, seed ${seed}`, async () => (await at.rows(left))[0]?.n === '0')
    expect(await at.broker.depths(['celery'])).toEqual([{ queue: 'celery', ready: 0, running: 0 }])
  })
})
