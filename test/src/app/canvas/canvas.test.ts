import { describe, expect, it } from 'vitest'
import { createRegistry } from '../../../../src/app/app.ts'
import type { Backend } from '../../../../src/app/backend.ts'
import { currentTask } from '../../../../src/app/calls/current-task.ts'
import { chain, chord, group } from '../../../../src/app/canvas/canvas.ts'
import type { Child, Plan } from '../../../../src/app/effects.ts'
import type { AsyncResult, GroupResult } from '../../../../src/app/results/handles.ts'
import type { StoredResult } from '../../../../src/app/results/stored-result.ts'
import { TaskError } from '../../../../src/app/results/task-error.ts'
import { decodeBody } from '../../../../src/message/message.ts'

/** An app that records its plans and returns the results that the test sets. */
function createApp() {
  const plans: { plan: Plan; transaction: unknown }[] = []
  const groups = new Map<string, readonly string[]>()
  const stored = new Map<string, StoredResult>()
  const waiting = new Map<string, ((stored: StoredResult | undefined) => void)[]>()
  const revoked: unknown[] = []
  const backend: Backend = {
    publish: async () => {},
    keep: async () => {},
    async send(plan, transaction) {
      plans.push({ plan, transaction })
      for (const { id, members } of plan.groups) groups.set(id, members)
    },
    claim: async () => [],
    notSent: async () => {},
    revoke: async (...call) => {
      revoked.push(call)
      return []
    },
    find: async (id) => stored.get(id),
    group: async (id) => groups.get(id),
    states: async (ids) => ids.flatMap((id) => stored.get(id)?.state ?? []),
    wait: (id, signal) =>
      new Promise((resolve) => {
        const known = stored.get(id)
        if (known !== undefined) return resolve(known)
        waiting.set(id, [...(waiting.get(id) ?? []), resolve])
        signal.addEventListener('abort', () => resolve(undefined), { once: true })
        if (signal.aborted) resolve(undefined)
      }),
    forget: async (id) => void stored.delete(id),
    close: async () => {},
  }
  const end = (id: string, outcome: Partial<StoredResult>) => {
    const result = { id, task: 't', state: 'SUCCESS', result: null, children: [], ...outcome } as StoredResult
    stored.set(id, result)
    for (const resolve of waiting.get(id) ?? []) resolve(result)
  }
  const app = createRegistry(async () => backend)
  const add = app.task('tasks.add', (x: number, y: number) => x + y)
  const mul = app.task('tasks.mul', (x: number, y: number) => x * y, { queue: 'slow', priority: 3 })
  const sum = app.task('tasks.sum', (values: readonly number[]) => values.length)
  const report = app.task('tasks.report', (id: string) => id)
  return { app, plans, end, revoked, add, mul, sum, report, last: () => plans.at(-1)!.plan }
}

const bodyOf = ({ messages }: Plan, index = 0) => decodeBody(messages[index]!.body)

describe('a signature', () => {
  it('has the JSON form of Celery', () => {
    const { app, add } = createApp()
    expect(JSON.parse(JSON.stringify(add.s(1, 2)))).toEqual({
      task: 'tasks.add',
      args: [1, 2],
      kwargs: {},
      options: {},
      subtask_type: null,
      immutable: false,
    })
    const eta = new Date('2030-01-01T00:00:00Z')
    const all = { countdown: 5, expires: eta, queue: 'q', priority: 1, headers: { h: 1 }, softTimeLimit: 1, timeLimit: 2 }
    expect(
      add
        .si(1, 2)
        .set({ ...all, taskId: 'mine', ignoreResult: true, shadow: 's' })
        .toJSON(),
    ).toMatchObject({
      immutable: true,
      options: {
        ...{ countdown: 5, expires: '2030-01-01T00:00:00.000Z', queue: 'q', priority: 1, headers: { h: 1 } },
        ...{ soft_time_limit: 1, time_limit: 2, task_id: 'mine', ignore_result: true, shadow: 's' },
      },
    })
    expect(app.signature('python.add', [1], { kwargs: { y: 2 }, immutable: true, queue: 'python' }).toJSON()).toMatchObject({
      task: 'python.add',
      kwargs: { y: 2 },
      options: { queue: 'python' },
      immutable: true,
    })
  })

  it('puts arguments of the call before its own arguments', async () => {
    const { add, mul, last } = createApp()
    await add.s(2).delay(1)
    expect(bodyOf(last()).args).toEqual([1, 2])
    await mul.s(3).applyAsync([2], { queue: 'fast', headers: { x: 1 } })
    expect(last().messages[0]).toMatchObject({ queue: 'fast', priority: 3, headers: { x: 1 } })
    await mul.s(3).set({ priority: 9 }).delay(2)
    expect(last().messages[0]).toMatchObject({ queue: 'slow', priority: 9 })
  })

  it('can be sent again under a new id', async () => {
    const { add, last } = createApp()
    const signature = add.s(1, 2)
    const first = await signature.delay()
    const second = await signature.delay()
    expect(first.id).not.toBe(second.id)
    expect(last().messages[0]!.headers.id).toBe(second.id)
    expect(signature.toJSON().options).toEqual({})
  })

  it('can be cloned and changed independently', () => {
    const { add, mul } = createApp()
    const signature = add.s(1, 2)
    const copy = signature.clone().set({ queue: 'other' }).link(mul.s(3))
    expect(signature.toJSON().options).toEqual({})
    expect(copy.toJSON().options).toMatchObject({ queue: 'other', link: [{ task: 'tasks.mul', args: [3] }] })
  })

  it('keeps one copy of a callback or errback that is added twice', async () => {
    const { add, mul, report, last } = createApp()
    await add.s(1, 2).link(mul.s(3)).link(mul.s(3)).link(mul.s(4)).linkError(report.s()).delay()
    const { embed } = bodyOf(last())
    expect(embed.callbacks).toMatchObject([{ args: [3] }, { args: [4] }])
    expect(embed.errbacks).toMatchObject([{ task: 'tasks.report' }])
  })

  it.each([
    ['NaN', 'VALUE_NOT_JSON', (a: ReturnType<typeof createApp>) => a.add.s(1, Number.NaN)],
    ['an option out of range', 'TASK_OPTION_INVALID', (a: ReturnType<typeof createApp>) => a.add.s(1, 2).set({ priority: 300 })],
    ['an empty chain', 'SIGNATURE_INVALID', () => chain()],
    ['a value that is not a signature', 'SIGNATURE_INVALID', () => group([42 as never])],
    [
      'a callback of a group',
      'SIGNATURE_INVALID',
      (a: ReturnType<typeof createApp>) => group([a.add.s(1, 2)]).link(a.sum.s() as never),
    ],
    ['chunks of size 0', 'TASK_OPTION_INVALID', (a: ReturnType<typeof createApp>) => a.add.chunks([[1, 2]], 0)],
  ])('or a composition refuses %s at once', (_what, code, compose) => {
    expect(() => compose(createApp())).toThrow(expect.objectContaining({ code }))
  })

  it('is checked against the schema of its task before anything is sent', async () => {
    const { app, add, plans } = createApp()
    const strict = app.task('strict', (n: number) => n, { args: [{ type: 'integer', title: 'n' }] as never })
    await expect(group([add.s(1, 2), strict.s(1.5)]).delay()).rejects.toMatchObject({ code: 'ARGUMENTS_INVALID' })
    expect(plans).toEqual([])
  })

  it('is sent as a child of the task that sends it', async () => {
    const { add, mul, sum, last } = createApp()
    const sent: Child[] = []
    const parent = { id: 'p', rootId: 'r', inherited: { traceparent: 't' }, sent: (child: Child) => void sent.push(child) }
    const ids = await currentTask.run(parent, async () => {
      const chained = await chain(add.s(1, 2), mul.s(3)).delay()
      expect(last().messages[0]!.headers).toMatchObject({ parent_id: 'p', root_id: 'r', traceparent: 't' })
      const counted = await chord([add.s(1, 2)], sum.s()).delay()
      return [chained.parent!.id, { group: counted.parent!.id }]
    })
    expect(sent).toEqual(ids)
  })

  it('calls its task once for each item with map, starmap and chunks', async () => {
    const { add, sum, last } = createApp()
    await add.starmap([[1, 2]]).delay()
    expect(bodyOf(last())).toMatchObject({ args: [], kwargs: { task: { task: 'tasks.add' }, it: [[1, 2]] } })
    const chunks = await add
      .chunks(
        [1, 2, 3, 4, 5].map((n) => [n, n]),
        2,
      )
      .delay()
    expect(chunks.results).toHaveLength(3)
    expect(last().messages.map(({ headers }) => headers.task)).toEqual(Array(3).fill('celery.starmap'))
    expect(bodyOf(last(), 2).kwargs.it).toEqual([[5, 5]])
    await sum.map([[1], [2]]).delay()
    expect(last().messages[0]!.headers.task).toBe('celery.map')
  })

  it('made by map() is routed like the task that map() calls', async () => {
    const { mul, last } = createApp()
    await mul.starmap([[1, 2]]).delay()
    expect(last().messages[0]).toMatchObject({ queue: 'slow', priority: 3 })
  })
})

describe('a composition', () => {
  it('is sent as one plan in the transaction of the caller', async () => {
    const { add, sum, plans } = createApp()
    const transaction = { query: async () => {} }
    await chord([add.s(1, 2), add.s(3, 4)], sum.s()).applyAsync([], { transaction })
    expect(plans).toHaveLength(1)
    expect(plans[0]!.transaction).toBe(transaction)
    expect(plans[0]!.plan.messages).toHaveLength(2)
    expect(plans[0]!.plan.chords).toMatchObject([{ body: { task: 'tasks.sum' } }])
  })

  it('returns the handle of its last task, with the handles of the earlier steps as parents', async () => {
    const { add, mul, sum } = createApp()
    const last = await chain(add.s(1, 2), mul.s(3), add.s(4)).delay()
    expect(last.parent!.parent!.parent).toBeUndefined()
    expect(last.root).toBe(last.parent!.parent)
    const body = await chain(add.s(1, 2), group([add.s(1), add.s(2)]), sum.s()).delay()
    const header = body.parent as GroupResult
    expect(header.results).toHaveLength(2)
    expect(header.results[0]!.parent).toBe(header.parent)
    expect(body.root).toBe(header.parent)
  })

  it('applies options of the call to its first step, and to a later step if that step does not set them', async () => {
    const { add, mul, last } = createApp()
    await chain(add.s(1, 2), add.s(3).set({ queue: 'own' }), mul.s(3)).applyAsync([], {
      queue: 'given',
      countdown: 60,
      priority: 5,
    })
    expect(last().messages[0]).toMatchObject({ queue: 'given', priority: 5, headers: { eta: expect.stringMatching(/Z$/) } })
    expect(bodyOf(last()).embed.chain!.toReversed()).toMatchObject([
      { options: { queue: 'own', priority: 5 } },
      { options: { queue: 'given', priority: 5 } },
    ])
    expect(bodyOf(last()).embed.chain![0]!.options).not.toHaveProperty('countdown')
    await group([add.s(1, 2).set({ queue: 'own' }), add.s(3, 4)]).applyAsync([], { queue: 'given' })
    expect(last().messages.map(({ queue }) => queue)).toEqual(['given', 'given'])
  })

  it('stores the routes of later steps and callbacks in their signatures', async () => {
    const { add, mul, last } = createApp()
    await chain(add.s(1, 2), mul.s(3), mul.s(4).set({ queue: 'own' }))
      .link(mul.s(5))
      .delay()
    const [third, second] = bodyOf(last()).embed.chain!
    expect(second!.options).toMatchObject({ queue: 'slow', priority: 3 })
    expect(third!.options).toMatchObject({ queue: 'own', priority: 3, link: [{ options: { queue: 'slow', priority: 3 } }] })
    await add
      .s(1, 2)
      .link(mul.s(3))
      .linkError(chain(mul.s(4)) as never)
      .delay()
    const { callbacks, errbacks } = bodyOf(last()).embed
    expect(callbacks).toMatchObject([{ options: { queue: 'slow' } }])
    expect(errbacks).toMatchObject([{ subtask_type: 'chain', options: {} }])
  })

  it('without members has a result at once', async () => {
    const { add, sum, last, plans } = createApp()
    const nothing = await group([].map((n) => add.s(n, n))).delay()
    expect(plans).toEqual([])
    expect(await nothing.get()).toEqual([])
    expect([await nothing.ready(), await nothing.successful(), await nothing.completedCount()]).toEqual([true, true, 0])
    await chord([], sum.s()).delay()
    expect(bodyOf(last()).args).toEqual([[]])
    const ended = await chain(add.s(1, 2), group([])).delay()
    expect(await ended.get()).toEqual([])
    expect(ended.parent!.id).toBe(last().messages[0]!.headers.id)
  })
})

describe('the result of a group', () => {
  async function send() {
    const made = createApp()
    const sent: GroupResult<number[]> = await group([1, 2, 3].map((n) => made.add.s(n, n))).delay()
    const [a, b, c] = sent.results.map(({ id }) => id) as [string, string, string]
    return { ...made, sent, a, b, c }
  }

  it('returns the values in the order of the members, whichever ends first', async () => {
    const { sent, end, a, b, c } = await send()
    const values = sent.get()
    end(c, { result: 6 })
    end(a, { result: 2 })
    end(b, { result: 4 })
    expect(await values).toEqual([2, 4, 6])
  })

  it('throws the error of the first failed member at once', async () => {
    const { sent, end, b } = await send()
    const values = sent.get()
    end(b, { state: 'FAILURE', result: { exc_type: 'TypeError', exc_message: ['no'], exc_module: 'builtins' } })
    await expect(values).rejects.toMatchObject({ name: 'TaskError', taskId: b, excType: 'TypeError' })
  })

  it('yields members in the order in which they end, including failed members', async () => {
    const { sent, end, a, b, c } = await send()
    const seen: unknown[] = []
    end(c, { result: 6 })
    for await (const { index, state, value, error } of sent.iterate()) {
      seen.push([index, state, value ?? error instanceof TaskError])
      if (seen.length === 1) end(a, { state: 'REVOKED' })
      if (seen.length === 2) end(b, { result: 4 })
    }
    expect(seen).toEqual([
      [2, 'SUCCESS', 6],
      [0, 'REVOKED', true],
      [1, 'SUCCESS', 4],
    ])
  })

  it('reports the number of unfinished members at the timeout, and stops waiting on abort', async () => {
    const { sent, end, a } = await send()
    end(a, { result: 2 })
    await expect(sent.get({ timeoutMs: 20 })).rejects.toThrow(/^2 members of group .* have not ended within 20 ms$/)
    const asked = new AbortController()
    const values = sent.get({ signal: asked.signal })
    asked.abort(new Error('enough'))
    await expect(values).rejects.toThrow('enough')
  })

  it('counts completed members and reports when all members have ended', async () => {
    const { sent, end, a, b, c } = await send()
    end(a, { result: 2 })
    end(b, { result: 4 })
    expect([await sent.completedCount(), await sent.ready(), await sent.successful(), await sent.failed()]).toEqual([
      2,
      false,
      false,
      false,
    ])
    end(c, { state: 'FAILURE' })
    expect([await sent.completedCount(), await sent.ready(), await sent.successful(), await sent.failed()]).toEqual([
      2,
      true,
      false,
      true,
    ])
  })

  it('can be found by its id, and can forget and revoke all its members', async () => {
    const { app, sent, end, revoked, a, b, c } = await send()
    const found = await app.groupResult(sent.id)
    expect(found!.results.map(({ id }) => id)).toEqual([a, b, c])
    end(a, { result: 2 })
    await found!.forget()
    expect(await found!.completedCount()).toBe(0)
    await found!.revoke({ terminate: true })
    expect(revoked).toEqual([[{ ids: [a, b, c] }, { terminate: true }]])
    expect(await app.groupResult('never sent')).toBeUndefined()
  })

  it('is also the result of a chord whose body is this group', async () => {
    const { add, sum } = createApp()
    const result = await chord([add.s(1, 2)], group([sum.s(), sum.s()])).delay()
    expect(result.results).toHaveLength(2)
    expect((result.parent as GroupResult).results).toHaveLength(1)
  })
})

describe('the result of a task', () => {
  it('lists the child tasks and child groups of the task', async () => {
    const { app, add, end } = createApp()
    const members = await group([add.s(1, 2), add.s(3, 4)]).delay()
    end('x', { children: ['child', { group: members.id }, { group: 'forgotten' }], progress: { n: 1, of: 2 } })
    const [child, found, ...more] = await app.asyncResult('x').children()
    expect(child!.id).toBe('child')
    expect((found as GroupResult).results.map(({ id }) => id)).toEqual(members.results.map(({ id }) => id))
    expect(more).toEqual([])
    expect(await app.asyncResult('x').progress()).toEqual({ n: 1, of: 2 })
    const root: AsyncResult = app.asyncResult('x')
    expect(root.root).toBe(root)
  })
})
