import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { chain, chord, group } from '../../../src/app/canvas/canvas.ts'
import type { AnySignature, TaskSignature } from '../../../src/app/canvas/signature.ts'
import type { AsyncResult, GroupResult } from '../../../src/app/results/handles.ts'
import type { TaskError } from '../../../src/app/results/task-error.ts'
import { CANVAS_PLACES, type Canvas, isCountingChords, isHere, openCanvas } from '../../support/celery-canvas.ts'
import { runCommand } from '../../support/command.ts'
import { until } from '../../support/until.ts'

const WAIT = { timeoutMs: 20_000 }

type Make = (name: string, ...args: unknown[]) => TaskSignature<unknown[], unknown>
type Sent = AnySignature & { delay(): Promise<unknown> }

/** Workflows of tasks that run in Python (`py`) and here (`node`), and their results. */
type Row = readonly [name: string, compose: (py: Make, node: Make) => Sent, value: unknown]

const EVERYWHERE: readonly Row[] = [
  ['a task that Python retries', (py) => py('twice', 7), [7, 1]],
  ['a chain in Python only', (py) => chain(py('add', 1, 2), py('add', 3), py('add', 4)), 10],
  [
    'a chain with steps in both workers',
    (py, node) => chain(node('add', 1, 2), py('add', 10), node('add', 100), py('add', 1000)),
    1113,
  ],
  ['a chain with a task that Python retries', (py, node) => chain(node('add', 1, 2), py('twice'), node('echo')), [3, 1]],
  ['a group in Python', (py) => group([py('add', 1, 2), py('add', 3, 4)]), [3, 7]],
  [
    'a group of chains',
    (py, node) => group([chain(node('add', 1, 2), py('add', 1)), chain(py('add', 3, 4), node('add', 1))]),
    [4, 8],
  ],
  ['a group after a step in Python', (py, node) => chain(py('add', 1, 2), group([py('add', 1), node('add', 2)])), [4, 5]],
  ['a chord with its body in our worker', (py, node) => chord([py('add', 1, 2), py('add', 3, 4)], node('sum')), 10],
  ['a chord with its body in Python', (py) => chord([py('add', 1, 2), py('add', 3, 4)], py('sum')), 10],
  [
    'a chord with members in both workers',
    (py, node) => chord([py('add', 1, 2), node('add', 3, 4), py('twice', 5)], node('echo')),
    [3, 7, [5, 1]],
  ],
  [
    'a chord with chains in its header',
    (py, node) => chord([chain(node('add', 1, 2), py('add', 1)), chain(py('add', 1, 1), py('add', 1))], node('sum')),
    7,
  ],
  [
    'a chord with a chain as its body',
    (py, node) => chord([py('echo', 1), node('echo', 2)], chain(py('sum'), node('add', 10), py('add', 100))),
    113,
  ],
  [
    'a chord with a group as its body',
    (py, node) => chord([py('echo', 1), node('echo', 2)], group([py('sum'), node('sum')])),
    [3, 3],
  ],
  [
    'a chord with a chord as its body',
    (py, node) => chord([py('echo', 1), py('echo', 2)], chord([py('sum'), node('sum')], py('sum'))),
    6,
  ],
  [
    'a chord after a step in our worker',
    (py, node) => chain(node('add', 1, 2), group([py('add', 1), node('add', 2)]), py('sum')),
    9,
  ],
  [
    'a chord whose members ignore their results',
    (py, node) => chord([py('echo', 1).set({ ignoreResult: true }), node('quiet', 2)], node('sum')),
    3,
  ],
]

/** A chord after a step in Python needs a result backend that counts. */
const COUNTED_THERE: readonly Row[] = [
  ['a chord after a step in Python', (py, node) => chain(py('add', 1, 2), group([py('add', 1), node('add', 2)]), py('sum')), 9],
  [
    'a chord that Python starts after a step, with its body in our worker',
    (py, node) => chain(py('add', 1, 2), group([py('add', 1), node('add', 2)]), node('sum')),
    9,
  ],
]

const FAILING: readonly (readonly [name: string, compose: (py: Make, node: Make) => Sent, error: object])[] = [
  ['a task that fails in Python after its last retry', (py) => py('never'), { excType: 'KeyError' }],
  ['a chain that fails in Python', (py, node) => chain(node('add', 1, 2), py('fail'), py('add', 1)), { excType: 'ValueError' }],
  [
    'a chain that fails in our worker',
    (py, node) => chain(py('add', 1, 2), node('fail'), py('add', 1)),
    { excType: 'ValueError' },
  ],
  [
    'a chord with a member that fails in Python',
    (py, node) => chord([py('add', 1, 2), py('fail')], node('sum')),
    { excType: 'ChordError' },
  ],
  [
    'a chord with a chain that fails in Python',
    (py, node) => chord([node('add', 1, 2), chain(py('fail'), py('add', 1))], py('sum')),
    { excType: 'ChordError' },
  ],
  [
    'a Python task that exceeds its hard time limit',
    (py) => py('slow', 20).set({ timeLimit: 1 }),
    { excType: 'TimeLimitExceeded' },
  ],
  [
    'a Python task that exceeds its soft time limit',
    (py) => py('slow', 20).set({ softTimeLimit: 1 }),
    { excType: 'SoftTimeLimitExceeded' },
  ],
]

for (const place of CANVAS_PLACES)
  describe.skipIf(!isHere(place))(`our client with a Python worker, by ${place},`, () => {
    let at: Canvas
    beforeAll(async () => {
      at = await openCanvas(place)
    }, 40_000)
    afterAll(() => at?.close())
    const countsChords = isCountingChords(place)

    const py: Make = (name, ...args) => at.ours.app.signature(`py.${name}`, args)
    const node: Make = (name, ...args) => at.ours.app.signature(`node.${name}`, args, { queue: 'node' })
    const sent = (compose: Row[1]) => compose(py, node).delay() as Promise<AsyncResult>
    const failure = (run: AsyncResult) =>
      run.get(WAIT).then(
        (value) => expect.fail(`returned ${value}`),
        (error: TaskError) => error,
      )

    it.each(EVERYWHERE)('receives the result of %s', async (_name, compose, value) => {
      expect(await (await sent(compose)).get(WAIT)).toEqual(value)
    })

    it.runIf(countsChords).each(COUNTED_THERE)('receives the result of %s', async (_name, compose, value) => {
      expect(await (await sent(compose)).get(WAIT)).toEqual(value)
    })

    it.each(FAILING)('receives the failure of %s', async (_name, compose, error) => {
      expect(await failure(await sent(compose))).toMatchObject({ name: 'TaskError', state: 'FAILURE', ...error })
    })

    it('reads the state RETRY of a Python task, with its reason', async () => {
      const run = await at.ours.app.sendTask('py.twice', [7], { kwargs: { countdown: 1.5 } })
      await until('RETRY', async () => (await run.state()) === 'RETRY')
      expect((await run.info())?.result).toMatchObject({ exc_type: 'ValueError', exc_message: ['once more'] })
      expect(await run.get(WAIT)).toEqual([7, 1])
    })

    it('lets a Python task end itself at its soft time limit', async () => {
      expect(await (await py('careful', 20).set({ softTimeLimit: 1 }).delay()).get(WAIT)).toBe('in time')
    })

    it.each<[string, (told: string) => Sent, (id: string) => unknown]>([
      [
        'a callback in Python after our task',
        (told) => node('add', 1, 2).link(at.ours.app.signature('py.relay', [], { kwargs: { to: told } })),
        () => 3,
      ],
      [
        'a callback in our worker after a Python task',
        (told) => py('add', 1, 2).link(node('echo').set({ taskId: told })),
        () => 3,
      ],
      [
        'an errback in Python after our task failed',
        (told) => node('fail').linkError(at.ours.app.signature('py.relay', [], { kwargs: { to: told } })),
        (id) => id,
      ],
      [
        'an errback in our worker after a Python task failed',
        (told) => py('fail').linkError(node('echo').set({ taskId: told })),
        (id) => id,
      ],
    ])('runs %s', async (_name, signature, given) => {
      const told = randomUUID()
      const { id } = (await signature(told).delay()) as AsyncResult
      expect(await at.ended(told)).toMatchObject({ state: 'SUCCESS', result: given(id) })
    })

    it('ends the outer chord if a member of an inner chord fails in Python', async () => {
      const inner = chord([py('fail'), py('add', 1, 2)], py('sum'))
      const error = await failure((await chord([inner, py('add', 1, 2)], node('sum')).delay()) as AsyncResult)
      expect(error).toMatchObject({ excType: 'ChordError' })
    })

    it.each<[string, number]>([
      ['while a member runs in Python', 1.5],
      ['and members in Python end meanwhile', 0.5],
    ])('ends a chord if our worker is killed %s', async (_name, seconds) => {
      const body = await sent((py, node) => chord([py('slow', seconds), node('add', 1, 2)], node('echo')))
      const [member] = (body.parent as GroupResult).results
      await until('started', async () => (await member?.state()) === 'STARTED')
      await at.restart(async () => {
        if (countsChords && seconds < 1)
          await until(
            'its end there',
            async () => (await at.python(`app.AsyncResult("${member?.id}").state`)).value === 'SUCCESS',
          )
      })
      expect(await body.get(WAIT)).toEqual([seconds, 3])
    })

    it('revokes a task that Python has not started', async () => {
      const id = randomUUID()
      await at.ours.app.revoke({ ids: [id] })
      const isHeard = async () => JSON.stringify(await at.python('app.control.inspect(["celery@py"]).revoked()')).includes(id)
      await until('heard there', isHeard)
      const run = await at.ours.app.sendTask('py.echo', [1], { taskId: id })
      expect(await failure(run)).toMatchObject({ state: 'REVOKED' })
    })

    it.each<[string, (run: AsyncResult) => Promise<unknown>]>([
      ['run.revoke()', (run) => run.revoke({ terminate: true })],
      ['onedyno revoke', async ({ id }) => expect((await runCommand(at.env, 'revoke', '--terminate', id)).code).toBe(0)],
    ])('revokes and terminates a running Python task with %s', async (_name, revoke) => {
      const run = await at.ours.app.sendTask('py.slow', [60])
      await until('started', async () => (await run.state()) === 'STARTED')
      await revoke(run)
      expect(await failure(run)).toMatchObject({ state: 'REVOKED' })
    })
  })
