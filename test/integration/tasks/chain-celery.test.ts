import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterEach, expect, it } from 'vitest'
import { chain, group } from '../../../src/app/canvas.ts'
import { registerCanvasTasks } from '../../../src/tasks/canvas.ts'
import { onEveryBroker, type TaskFixture } from '../../support/task-worker.ts'
import { until } from '../../support/until.ts'

const children: ChildProcess[] = []
const start = (url: string, args: string[]): ChildProcess => {
  const { PATH = '', HOME = '' } = process.env
  const child = spawn('/usr/bin/python3', args, {
    cwd: join(import.meta.dirname, '../../fixtures/celery'),
    env: { PATH, HOME, BROKER: url, PYTHONDONTWRITEBYTECODE: '1', C_FORCE_ROOT: '1' },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  children.push(child)
  return child
}
afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue
    child.kill('SIGKILL')
    await once(child, 'close')
  }
})

/** A Celery worker for the tasks `py.*`. */
async function pythonWorker(url: string): Promise<void> {
  const child = start(url, [
    '-m',
    'celery',
    '-A',
    'canvas_app',
    'worker',
    '-P',
    'solo',
    '-l',
    'info',
    '--without-gossip',
    '--without-mingle',
  ])
  let log = ''
  const read = (data: Buffer) => {
    log += data.toString()
  }
  child.stdout!.on('data', read)
  child.stderr!.on('data', read)
  await until('the Celery worker', () => {
    if (child.exitCode !== null) throw new Error(log)
    return log.includes('ready.')
  })
}

/** Evaluates an expression with Celery's own canvas, and waits for its result as Celery does. */
function pythonClient(url: string): (expression: string) => Promise<{ value?: unknown; error?: string; args?: unknown[] }> {
  const child = start(url, ['canvas_app.py'])
  child.stderr!.on('data', (data: Buffer) => process.stderr.write(data))
  const lines = createInterface({ input: child.stdout! })
  return async (expression) => {
    const answered = once(lines, 'line')
    child.stdin!.write(`${expression}\n`)
    return JSON.parse((await answered)[0])
  }
}

/** A worker of ours for the tasks `node.*`. */
async function work(at: TaskFixture) {
  const runs: unknown[][] = []
  const add = at.app.task('node.add', (x: number, y: number) => x + y, { queue: 'node' })
  const sum = at.app.task('node.sum', (values: readonly number[]) => values.reduce((a, b) => a + b, 0), { queue: 'node' })
  const fail = at.app.task(
    'node.fail',
    (n: number): number => {
      throw new TypeError(`no ${n}`)
    },
    { queue: 'node' },
  )
  const note = at.app.task('node.note', (...args: unknown[]) => void runs.push(args), { queue: 'node' })
  registerCanvasTasks(at.app, { config: { resultTtlSeconds: 60 }, results: at.results })
  await at.work({ queues: ['node'] })
  return { runs, add, sum, fail, note }
}

onEveryBroker(
  'compositions with Celery',
  (at) => {
    it('that Python sends run here, and Python gets their results', async () => {
      const { runs } = await work(at)
      const call = pythonClient(at.env.AMQP_URL!)
      expect(await call('chain(node("add", 1, 2), node("add", 3), node("add", 4))')).toEqual({ value: 10 })
      expect(await call('group(node("add", 1, 2), node("add", 3, 4))')).toEqual({ value: [3, 7] })
      expect(await call('group(chain(node("add", 1, 2), node("add", 1)), node("add", 3, 4))')).toEqual({ value: [4, 7] })
      expect(await call('chain(node("add", 1, 2), group(node("add", 1), node("add", 2)))')).toEqual({ value: [4, 5] })
      const linked = await call('node("add", 1, 2).on_error(node("note")) | node("fail") | node("add", 1)')
      expect(linked).toEqual({ error: 'TypeError', args: ['no 3'] })
      await call('chain(node("add", 1, 2), node("fail"), node("add", 1)).on_error(node("note", "told"))')
      await until('the errback', () => runs.length === 1)
      expect(runs[0]).toEqual([expect.stringMatching(/^[0-9a-f-]{36}$/), 'told'])
    })

    it('may have steps on both sides', async () => {
      const { add, sum, fail, runs, note } = await work(at)
      await pythonWorker(at.env.AMQP_URL!)
      const there = (y: number) => at.app.signature<number>('py.add', [y])
      const both = await chain(add.s(1, 2), there(10), add.s(100), there(1000), add.s(0)).delay()
      expect(await both.get({ timeoutMs: 20_000 })).toBe(1113)
      // Python reaches the group, and the chord in which our producer has wrapped what follows it here.
      const spread = await chain(there(1), group([add.s(1), add.s(2)])).applyAsync([1])
      expect(await spread.get({ timeoutMs: 20_000 })).toEqual([3, 4])
      const summed = await chain(add.s(1, 2), group([add.s(1), add.s(2)]), sum.s(), there(5), add.s(1)).delay()
      expect(await summed.get({ timeoutMs: 20_000 })).toBe(15)
      // What fails here is told there, and the other way round.
      await chain(there(1), fail.s()).linkError(note.s('here')).applyAsync([1])
      await at.app.signature('py.fail', []).linkError(note.s('there')).delay()
      await until('the errbacks', () => runs.length === 2)
      expect(runs.map(([, where]) => where).toSorted()).toEqual(['here', 'there'])
    })
  },
  { only: ['amqp'], queues: ['node', 'celery'] },
)
