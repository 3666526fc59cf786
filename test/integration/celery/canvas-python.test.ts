import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  CANVAS_PLACES,
  type Canvas,
  isCountingChords,
  isHere,
  openCanvas,
  type PythonValue,
} from '../../support/celery-canvas.ts'
import { until } from '../../support/until.ts'

type Row = readonly [name: string, expression: string, answer: PythonValue]

/** The end of each workflow as a Python client receives it, by every transport. */
const EVERYWHERE: readonly Row[] = [
  [
    'a chain with steps in both workers',
    'chain(node("add", 1, 2), py("add", 10), node("add", 100), py("add", 1000))',
    { value: 1113 },
  ],
  ['a chain that starts in Python and ends in our worker', 'chain(py("add", 1, 2), node("add", 10))', { value: 13 }],
  ['a chain that fails in our worker', 'chain(node("fail", "x"), py("add", 1))', { error: 'ValueError', args: ['no x'] }],
  ['a chain that fails in Python', 'chain(py("fail"), node("add", 1))', { error: 'ValueError', args: ['no'] }],
  ['a group with members in both workers', 'group(node("add", 1, 2), py("add", 3, 4), node("add", 5, 6))', { value: [3, 7, 11] }],
  ['a group of chains', 'group(chain(node("add", 1, 2), py("add", 1)), node("add", 3, 4))', { value: [4, 7] }],
  ['a group after a step', 'chain(node("add", 1, 2), group(node("add", 1), py("add", 2)))', { value: [4, 5] }],
  ['a group with a member that fails', 'group(node("add", 1, 2), node("fail", "x"))', { error: 'ValueError', args: ['no x'] }],
  ['a task that fails after its last retry', 'node("never")', { error: 'ValueError', args: ['never'] }],
  ['a hard time limit', 'node("slow", 20).apply_async(time_limit=0.3)', { error: 'TimeLimitExceeded', args: [0.3] }],
  [
    'a hard time limit of code that ignores the soft one',
    'node("deaf", 5).apply_async(time_limit=0.3)',
    { error: 'TimeLimitExceeded', args: [0.3] },
  ],
  ['a soft time limit', 'node("slow", 20).apply_async(soft_time_limit=0.3)', { error: 'SoftTimeLimitExceeded', args: [0.3] }],
  ['time limits that are not reached', 'node("slow", 0.1).apply_async(time_limit=9, soft_time_limit=8)', { value: 0.1 }],
]

const EXACT = 'chord([py("add", 2**64, 1), node("slow", 0.4)], py("echo"))'

/** Chords that need a result backend that counts. */
const CHORDS: readonly Row[] = [
  ['its body in our worker', 'chord([node("add", 1, 2), node("add", 3, 4)], node("sum"))', { value: 10 }],
  ['its body in Python', 'chord([node("add", 1, 2), node("add", 3, 4)], py("sum"))', { value: 10 }],
  ['members in both workers', 'chord([node("add", 1, 2), py("add", 3, 4), node("add", 5, 6)], node("sum"))', { value: 21 }],
  [
    'a chain as its body',
    'chord([node("echo", 1), node("echo", 2)], chain(node("sum"), py("add", 10), node("add", 100)))',
    { value: 113 },
  ],
  [
    'a group as its body',
    'chord([node("echo", 1), node("echo", 2)], group(node("sum"), py("sum"), node("echo")))',
    { value: [3, 3, [1, 2]] },
  ],
  [
    'a chord as its body',
    'chord([node("echo", 1), node("echo", 2)], chord([node("sum"), py("sum")], node("sum")))',
    { value: 6 },
  ],
  [
    'a chain with a group in it as its body',
    'chord([node("echo", 1), node("echo", 2)], chain(node("sum"), group(node("add", 1), py("add", 2)), node("sum")))',
    { value: 9 },
  ],
  [
    'members that ignore their results',
    'chord([node("quiet", 5), node("echo", 7).set(ignore_result=True)], node("sum"))',
    { value: 12 },
  ],
  ['a member that is retried', 'chord([node("twice", 5), node("echo", 7)], node("echo"))', { value: [[5, 1], 7] }],
  ['a member that fails', 'chord([node("add", 1, 2), node("fail", "x")], py("sum"))', { error: 'ValueError', args: ['no x'] }],
]

const FAILING: readonly (readonly [name: string, expression: string])[] = [
  ['a member fails in our worker', 'chord([node("add", 1, 2), node("fail", "x")], py("sum"))'],
  ['a member fails in Python before our last member', 'chord([py("fail"), node("slow", 0.5)], node("sum"))'],
  [
    'a chain in the header fails before its last step',
    'chord([node("add", 1, 2), chain(node("fail", "x"), py("add", 1))], node("sum"))',
  ],
  ['a member fails and the body is a chain', 'chord([node("add", 1, 2), node("fail", "x")], chain(node("sum"), py("add", 1)))'],
]

for (const place of CANVAS_PLACES)
  describe.skipIf(!isHere(place))(`a Python client with our worker, by ${place},`, () => {
    let at: Canvas
    beforeAll(async () => {
      at = await openCanvas(place)
    }, 40_000)
    afterAll(() => at?.close())
    const countsChords = isCountingChords(place)

    it.each(EVERYWHERE)('receives the outcome of %s', async (_name, expression, answer) => {
      expect(await at.python(expression)).toEqual(answer)
    })

    it('reads the state RETRY of a task, and then its final state', async () => {
      const { value } = await at.python('watched(node("twice", 5))')
      expect(value).toMatchObject({ value: [5, 1], state: 'SUCCESS' })
      expect((value as { states: string[] }).states).toEqual(expect.arrayContaining(['RETRY', 'SUCCESS']))
    })

    it.each<[string, (failed: string, told: string) => string, (failed: string) => unknown]>([
      [
        'a callback in Python',
        (id, told) => `node("add", 1, 2).apply_async(task_id="${id}", link=py("relay", to="${told}"))`,
        () => 3,
      ],
      [
        'a callback in our worker',
        (id, told) => `py("add", 1, 2).apply_async(task_id="${id}", link=node("echo").set(task_id="${told}"))`,
        () => 3,
      ],
      [
        'an errback in Python',
        (id, told) => `node("fail").apply_async(task_id="${id}", link_error=py("relay", to="${told}"))`,
        (id) => id,
      ],
      [
        'an errback in our worker',
        (id, told) => `py("fail").apply_async(task_id="${id}", link_error=node("echo").set(task_id="${told}"))`,
        (id) => id,
      ],
    ])('runs %s', async (_name, expression, given) => {
      const [id, told] = [randomUUID(), randomUUID()]
      await at.python(expression(id, told))
      expect(await at.ended(told)).toMatchObject({ state: 'SUCCESS', result: given(id) })
    })

    it('revokes a task that has not started', async () => {
      const id = randomUUID()
      const heard = await at.python(`app.control.revoke(["${id}"], reply=True, timeout=1)`)
      expect(JSON.stringify(heard.value)).toContain('flagged as revoked')
      expect(await at.python(`node("echo", 1).apply_async(task_id="${id}")`)).toEqual({
        error: 'TaskRevokedError',
        args: ['revoked'],
      })
      expect(await at.ended(id)).toMatchObject({ state: 'REVOKED' })
    })

    it('revokes and terminates a running task', async () => {
      const id = randomUUID()
      const answer = at.python(`node("slow", 60).apply_async(task_id="${id}")`)
      await until('started', async () => (await at.ours.results.find(id))?.state === 'STARTED')
      expect(await at.python2(`revoke("${id}", terminate=True, signal="SIGTERM")`)).toEqual({ value: null })
      expect(await answer).toEqual({ error: 'TaskRevokedError', args: ['terminated'] })
    })

    it.runIf(countsChords).each(CHORDS)('receives the outcome of a chord with %s', async (_name, expression, answer) => {
      expect(await at.python(expression)).toEqual(answer)
    })

    it.runIf(countsChords)('receives values unchanged that only Python can represent', async () => {
      expect(await at.python(`str(${EXACT}.apply_async().get(timeout=30))`)).toEqual({ value: '[18446744073709551617, 0.4]' })
    })

    it.runIf(countsChords).each(FAILING)('receives a ChordError if %s', async (_name, expression) => {
      const { error, args } = await at.python(`body(${expression})`)
      expect({ error, args }).toEqual({
        error: 'ChordError',
        args: [expect.stringMatching(/^Dependency \S+ raised ValueError\(/)],
      })
    })

    it('lets our worker run celery.chord_unlock if the result backend does not count members', async () => {
      const folder = await mkdtemp(join(tmpdir(), 'onedyno-celery-'))
      const [id, failed, told] = [randomUUID(), randomUUID(), randomUUID()]
      const python = at.another({ BACKEND: `file://${folder}` })
      const body = (task_id: string) => `node("sum").set(queue="node", task_id="${task_id}")`
      await python(`chord([node("slow", 0.2), node("add", 3, 4)], ${body(id)}).apply_async().id`)
      expect((await at.ended(id)).result).toBeCloseTo(7.2)
      const errback = `node("echo").set(task_id="${told}", queue="node")`
      await python(`chord([node("fail"), node("add", 3, 4)], ${body(failed)}.on_error(${errback})).apply_async().id`)
      expect(await at.ended(told)).toMatchObject({ result: failed })
      await rm(folder, { recursive: true })
    })
  })
