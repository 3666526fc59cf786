import { expect, it } from 'vitest'
import type { TaskContext } from '../../../src/app/task-context.ts'
import { onEveryBroker } from '../../support/task-worker.ts'
import { until } from '../../support/until.ts'

onEveryBroker('hooks', (at) => {
  it('run for each attempt, in order, before the outcome of the attempt is stored', async () => {
    const told: unknown[] = []
    const state = async (id: string) => (await at.results.find(id))?.state ?? 'PENDING'
    at.app.before(({ attempt }, args) => told.push(['before', attempt, args]))
    at.app.after(({ attempt }, args, end) => told.push(['after', attempt, args, end.state]))
    const task = at.app.task(
      'hooked',
      ({ attempt, retry }: TaskContext, x: number) => {
        told.push(['runs'])
        if (attempt === 1) retry({ countdown: 0, error: new Error('first') })
        return x + attempt
      },
      {
        bind: true,
        onRetry: (_context, args, error) => told.push(['onRetry', args, (error as Error).message]),
        onSuccess: async ({ id }, args, result) => told.push(['onSuccess', args, result, await state(id)]),
        onFailure: () => told.push('never'),
      },
    )
    await at.work()
    expect(await (await task.delay(5)).get({ timeoutMs: 10_000 })).toBe(7)
    expect(told).toEqual([
      ['before', 1, [5]],
      ['runs'],
      ['onRetry', [5], 'first'],
      ['after', 1, [5], 'RETRY'],
      ['before', 2, [5]],
      ['runs'],
      ['onSuccess', [5], 7, 'RETRY'],
      ['after', 2, [5], 'SUCCESS'],
    ])
  })

  it('for a failure run once, after the last attempt failed or a time limit passed', async () => {
    const told: string[] = []
    const onFailure = ({ attempt }: TaskContext, _args: unknown[], error: unknown) =>
      told.push(`${attempt} ${(error as Error).name}`)
    const failing = at.app.task('failing', () => Promise.reject(new RangeError('x')), {
      onFailure,
      autoretryFor: [RangeError],
      maxRetries: 1,
      retryDelay: 0,
    })
    const endless = at.app.task('endless', () => new Promise(() => {}), { onFailure, timeLimit: 0.05 })
    await at.work()
    await at.ended((await failing.delay()).id)
    await at.ended((await endless.delay()).id)
    expect(told).toEqual(['2 RangeError', '1 TimeLimitExceeded'])
  })

  it('do not change the outcome when they throw', async () => {
    const thrower = () => {
      throw new Error('a hook fails')
    }
    at.app.before(thrower)
    at.app.after(() => Promise.reject(Object.create(null)))
    const hidden = Object.defineProperty(new Error('x'), 'message', { get: thrower })
    at.app.after(() => Promise.reject(hidden))
    const task = at.app.task('hooked', () => 'fine', { onSuccess: thrower })
    await at.work()
    expect(await (await task.delay()).get({ timeoutMs: 5000 })).toBe('fine')
    const failed = at.logged.filter(({ msg }) => String(msg).startsWith('hook failed'))
    expect(failed.map(({ hook }) => hook)).toEqual(['before', 'onSuccess', 'after', 'after'])
  })

  it('are ended by the time limit of their task, and occupy the slot of the task while they run', async () => {
    const task = at.app.task('hooked', () => 'fine', { timeLimit: 0.3, onSuccess: () => new Promise(() => {}) })
    const worker = await at.work()
    const { id } = await task.delay()
    await until('the hook runs', () => worker.running === 1)
    expect(await at.ended(id)).toMatchObject({ state: 'SUCCESS', result: 'fine' })
    expect(at.logged.find(({ msg }) => String(msg).startsWith('hook timed out'))).toMatchObject({ hook: 'onSuccess', id })
    await until('the slot is free', () => worker.running === 0)
  })

  it('send tasks as children of their task', async () => {
    const child = at.app.task('child', () => 1)
    const parent = at.app.task('parent', async () => void (await child.applyAsync([], { taskId: 'of-code' })), {
      onSuccess: () => child.applyAsync([], { taskId: 'of-hook' }),
    })
    await at.work()
    const { id } = await parent.delay()
    await at.ended(id)
    await at.ended('of-hook')
    const [row] = await at.rows(`SELECT children FROM $task_result WHERE id = '${id}'`)
    expect(JSON.parse(String(row!.children))).toEqual(['of-code', 'of-hook'])
    expect(await at.rows(`SELECT parent_id, root_id FROM $task_result WHERE id LIKE 'of-%'`)).toEqual([
      { parent_id: id, root_id: id },
      { parent_id: id, root_id: id },
    ])
  })

  it('that still run when the worker stops do not prevent the storage of the outcome', async () => {
    let hooked = false
    const task = at.app.task('hooked', () => 'fine', {
      onSuccess: () => {
        hooked = true
        return new Promise(() => {})
      },
    })
    const worker = await at.work({ graceMs: 50 })
    const { id } = await task.delay()
    await until('the hook runs', () => hooked)
    await worker.stop()
    expect(await at.results.find(id)).toMatchObject({ state: 'SUCCESS', result: 'fine' })
  })
})
