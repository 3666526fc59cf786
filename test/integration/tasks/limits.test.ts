import { setTimeout as delay } from 'node:timers/promises'
import { expect, it } from 'vitest'
import type { TaskContext } from '../../../src/app/task-context.ts'
import { SoftTimeLimitExceeded, TimeLimitExceeded } from '../../../src/app/task-errors.ts'
import type { TaskOptions } from '../../../src/app/task-options.ts'
import { createMessage } from '../../../src/message/message.ts'
import { onEveryBroker, type TaskFixture } from '../../support/task-worker.ts'
import { until } from '../../support/until.ts'

/** Stops when its signal aborts. */
const obedient = (at: TaskFixture, options: TaskOptions<[]> = {}) =>
  at.app.task('obedient', (context: TaskContext) => delay(60_000, 'too late', { signal: context.signal }), {
    ...options,
    bind: true,
  })

/** Ignores its signal until `release` is called. */
function stubborn(at: TaskFixture, options: TaskOptions<[]> = {}) {
  let release = () => {}
  let begun = 0
  const code = () => {
    begun++
    return new Promise<string>((resolve) => {
      release = () => resolve('too late')
    })
  }
  return { task: at.app.task('stubborn', code, options), begun: () => begun, release: () => release() }
}

const soft = { exc_type: 'SoftTimeLimitExceeded', exc_module: 'billiard.exceptions' }
const hard = { exc_type: 'TimeLimitExceeded', exc_module: 'billiard.exceptions' }

onEveryBroker('a soft time limit', (at) => {
  it('aborts the signal and fails the task, with the thrown error as the cause', async () => {
    const task = obedient(at, { softTimeLimit: 0.05 })
    await at.work()
    const stored = await at.ended((await task.delay()).id)
    expect(stored).toMatchObject({ state: 'FAILURE', result: { ...soft, exc_message: [0.05] } })
    expect(stored.traceback).toContain('caused by: AbortError')
  })

  it('does not fail a task that catches the error and returns a value', async () => {
    const reasons: unknown[] = []
    const task = at.app.task(
      'tidy',
      async (context: TaskContext) => {
        await delay(60_000, undefined, { signal: context.signal }).catch(() => {})
        reasons.push(context.signal.reason)
        return 'half of it'
      },
      { bind: true, softTimeLimit: 0.05 },
    )
    await at.work()
    expect(await (await task.delay()).get({ timeoutMs: 5000 })).toBe('half of it')
    expect(reasons).toEqual([expect.any(SoftTimeLimitExceeded)])
  })

  it('allows the task to call retry', async () => {
    const task = at.app.task(
      'asking',
      async (context: TaskContext) => {
        if (context.attempt === 2) return 'second'
        await delay(60_000, undefined, { signal: context.signal }).catch(() => {})
        return context.retry({ countdown: 0 })
      },
      { bind: true, softTimeLimit: 0.05 },
    )
    await at.work()
    expect(await (await task.delay()).get({ timeoutMs: 5000 })).toBe('second')
  })
})

onEveryBroker('a hard time limit', (at) => {
  it('fails the task and frees its slot at once, and the later result of the code is ignored', async () => {
    const { task, release } = stubborn(at, { timeLimit: 0.1 })
    const next = at.app.task('next', () => 'has the slot')
    const worker = await at.work({ concurrency: 1 })
    const { id } = await task.delay()
    const handle = await next.delay()
    expect(await handle.get({ timeoutMs: 5000 })).toBe('has the slot')
    const stored = await at.ended(id)
    expect(stored).toMatchObject({ state: 'FAILURE', result: { ...hard, exc_message: [0.1] } })
    expect(at.logged.filter(({ msg }) => String(msg).includes('may still run'))).toEqual([
      expect.objectContaining({ id, seconds: 0.1 }),
    ])
    release()
    await until('nothing runs', () => worker.running === 0)
    await worker.stop()
    expect((await at.results.find(id))?.state).toBe('FAILURE')
    expect(at.logged.filter(({ msg }) => msg === 'task succeeded')).toHaveLength(1)
  })

  it('aborts the signal of the task, too', async () => {
    const reasons: unknown[] = []
    const task = at.app.task(
      'watching',
      (context: TaskContext) =>
        new Promise(() => context.signal.addEventListener('abort', () => reasons.push(context.signal.reason))),
      { bind: true, timeLimit: 0.1 },
    )
    await at.work()
    await at.ended((await task.delay()).id)
    await until('aborted', () => reasons.length === 1)
    expect(reasons).toEqual([expect.any(TimeLimitExceeded)])
  })

  it('ends a task that ignores the signal of its soft time limit', async () => {
    const { task } = stubborn(at, { softTimeLimit: 0.05, timeLimit: 0.15 })
    await at.work()
    expect(await at.ended((await task.delay()).id)).toMatchObject({ result: hard })
  })

  it.each<[what: string, limits: TaskOptions<[]>, attempts: number]>([
    ['the class of the hard limit', { timeLimit: 0.05, autoretryFor: [TimeLimitExceeded] }, 2],
    ['the name of the hard limit', { timeLimit: 0.05, autoretryFor: ['TimeLimitExceeded'] }, 2],
    ['Error, which does not match the hard time limit', { timeLimit: 0.05, autoretryFor: [Error] }, 1],
  ])('is retried as the retry policy says if autoretryFor has %s', async (_what, options, attempts) => {
    const { task, begun } = stubborn(at, { ...options, maxRetries: 1, retryDelay: 0 })
    await at.work()
    expect(await at.ended((await task.delay()).id)).toMatchObject({ state: 'FAILURE', result: hard, retries: attempts - 1 })
    expect(begun()).toBe(attempts)
  })

  it('of a message overrides the limit of the task, and the limit of the task overrides the limit of the worker', async () => {
    const seconds = async (id: string) => ((await at.ended(id)).result as { exc_message: number[] }).exc_message[0]
    const { task } = stubborn(at, { timeLimit: 0.1 })
    const bare = at.app.task('bare', () => new Promise(() => {}))
    await at.work({ timeLimits: { soft: undefined, hard: 0.15 } })
    expect(await seconds((await task.delay()).id)).toBe(0.1)
    expect(await seconds((await task.applyAsync([], { timeLimit: 0.05 })).id)).toBe(0.05)
    expect(await seconds((await bare.delay()).id)).toBe(0.15)
    await at.broker.publish([createMessage({ id: 'celery', task: 'bare', args: [], headers: { timelimit: [0.07, null] } })])
    expect(await seconds('celery')).toBe(0.07)
  })

  it('can be changed while the worker runs', async () => {
    const { task } = stubborn(at, { timeLimit: 3600 })
    const worker = await at.work()
    worker.setTimeLimits('stubborn', { soft: undefined, hard: 0.05 })
    expect(await at.ended((await task.delay()).id)).toMatchObject({ result: { ...hard, exc_message: [0.05] } })
    worker.setTimeLimits('stubborn', { soft: 0.05, hard: undefined })
    const quick = await task.delay()
    await until('it runs', () => worker.running === 1)
    expect(await worker.stop()).toBeUndefined()
    expect((await at.results.find(quick.id))?.state).not.toBe('FAILURE')
  })
})

onEveryBroker('the time limits of a worker process', (at) => {
  it('can be set by options of `onedyno worker`', async () => {
    const app = 'test/fixtures/apps/never-ends.ts'
    const worker = await at.process(app, { args: ['--time-limit', '1', '--soft-time-limit', '1'] })
    const { id } = await at.app.sendTask('never.ends', [])
    expect(await at.ended(id)).toMatchObject({ state: 'FAILURE', result: { ...hard, exc_message: [1] } })
    expect(worker.output()).toContain('never.ends saw SoftTimeLimitExceeded')
  })
})

onEveryBroker('a running task that is revoked', (at) => {
  it('is stored as REVOKED when it stops on its abort signal', async () => {
    const task = obedient(at)
    const worker = await at.work()
    const { id } = await task.delay()
    await until('it runs', () => worker.terminate(id))
    expect(await at.ended(id)).toMatchObject({
      state: 'REVOKED',
      result: { exc_type: 'TaskRevokedError', exc_message: ['terminated'] },
    })
  })

  it('is stored as REVOKED after 500 ms when it ignores its signal, and its slot becomes free', async () => {
    const { task } = stubborn(at)
    const worker = await at.work({ concurrency: 1 })
    const { id } = await task.delay()
    await until('it runs', () => worker.terminate(id))
    expect(await at.ended(id)).toMatchObject({ state: 'REVOKED' })
    await until('the slot is free', () => worker.running === 0)
  })
})
