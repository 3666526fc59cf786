import type { App } from '../app/app.ts'
import { group } from '../app/canvas/canvas.ts'
import { READY_STATES } from '../app/outcome.ts'
import type { StoredResult } from '../app/results/stored-result.ts'
import type { Task } from '../app/task.ts'
import type { TaskContext } from '../app/task-context.ts'
import type { Config } from '../config.ts'
import type { Results } from '../database/results.ts'
import type { Signature } from '../message/signature.ts'
import { cleanUpOptions, createCleanUp } from './clean-up.ts'

interface CanvasTaskDependencies {
  readonly config: Pick<Config, 'resultTtlSeconds'>
  readonly results: Pick<Results, 'find' | 'cleanUp'>
}

/**
 * Registers the tasks that every Celery application has (Celery 5.6, celery/app/builtins.py). Python clients and `task.map` send
 * these tasks. Some senders pass the arguments as keywords, some as a list.
 */
export function registerCanvasTasks(app: App, { config, results }: CanvasTaskDependencies): void {
  registerMapTasks(app)
  add(app, 'celery.accumulate', accumulate, 'Returns its arguments, or one of them if an index is given.')
  add(
    app,
    'celery.chord_unlock',
    chordUnlockTask(app, results),
    'Sends the body of a chord when all tasks of its header have ended.',
  )
  if (!app.tasks.has('celery.backend_cleanup')) app.task('celery.backend_cleanup', createCleanUp(config, results), cleanUpOptions)
}

/** Registers the tasks that `map`, `starmap` and `chunks` of a task send. */
export function registerMapTasks(app: App): void {
  const find = (signature: unknown): Task => {
    const name = (signature as Partial<Signature> | undefined)?.task ?? String(signature)
    const task = app.tasks.get(name)
    if (task === undefined) throw named('NotRegistered', name)
    return task
  }
  const each = mapTask(find, (item) => [item])
  add(app, 'celery.map', each, 'Calls a task for each item of a list.')
  add(app, 'celery.starmap', mapTask(find, listOf), 'Calls a task for each list of arguments.')
  add(app, 'celery.chunks', chunksTask(app), 'Sends a group of starmaps, each with n calls.')
}

function add(app: App, name: string, fn: (context: TaskContext, ...args: never[]) => unknown, description: string): void {
  if (!app.tasks.has(name)) app.task(name, fn, { bind: true, description })
}

/** Calls the inner task for each item in turn, within the same run. Returns a list of results. The first error fails the run. */
const mapTask =
  (find: (signature: unknown) => Task, argsOf: (item: unknown) => readonly unknown[]) =>
  async (context: TaskContext, ...given: unknown[]): Promise<unknown[]> => {
    const { task: signature = given[0], it = given[1] } = context.kwargs
    const task = find(signature)
    const inner = innerContext(context, task.name)
    const values: unknown[] = []
    for (const item of listOf(it)) {
      context.signal.throwIfAborted()
      values.push((await task.run(inner, argsOf(item))) ?? null)
    }
    return values
  }

/** Returns the context of the inner task: the context of this run, with the inner task's name and without keyword arguments. */
const innerContext = (context: TaskContext, task: string): TaskContext => ({
  ...{ id: context.id, task, queue: context.queue, retries: context.retries, attempt: context.attempt, kwargs: {} },
  ...{ headers: context.headers, parentId: context.parentId, rootId: context.rootId, signal: context.signal },
  get log() {
    return context.log
  },
  progress: (n, of, note) => context.progress(n, of, note),
  retry: (options) => context.retry(options),
})

/** Sends the group and, as in Celery, does not wait for it. Returns the group in Celery's tuple form. */
const chunksTask =
  (app: App) =>
  async (context: TaskContext, ...given: unknown[]): Promise<unknown> => {
    const { task = given[0], it = given[1], n = given[2] } = context.kwargs
    if (!Number.isSafeInteger(n) || (n as number) < 1)
      throw new RangeError(`celery.chunks: n must be a whole number from 1, not ${JSON.stringify(n)}`)
    const items = listOf(it)
    const parts = Array.from({ length: Math.ceil(items.length / (n as number)) }, (_, index) =>
      app.signature('celery.starmap', [], {
        kwargs: { task, it: items.slice(index * (n as number), (index + 1) * (n as number)) },
        immutable: true,
      }),
    )
    const sent = await group(parts).delay()
    return [[sent.id, null], sent.results.map(({ id }) => [[id, null], null])]
  }

const accumulate = ({ kwargs }: TaskContext, ...given: unknown[]): unknown => {
  const args = Object.keys(kwargs).length === 0 ? given : given.slice(0, -1)
  return typeof kwargs.index === 'number' ? (args.at(kwargs.index) ?? null) : args
}

/**
 * A Celery client sends this task with a chord if its result backend cannot count (Celery 5.6, celery/app/builtins.py,
 * add_unlock_chord_task). The task retries until all members have ended. It finds only results that workers of onedyno stored.
 * @throws Retry while a member runs; ChordError if a member failed
 */
const chordUnlockTask =
  (app: App, results: Pick<Results, 'find'>) =>
  async (context: TaskContext, ...given: unknown[]): Promise<null> => {
    const { callback = given[1], interval, max_retries = null, result = given[2] } = context.kwargs
    const members = await Promise.all(idsOf(result).map((id) => results.find(id)))
    if (!members.every(isReady))
      context.retry({ countdown: typeof interval === 'number' ? interval : 1, max: max_retries as number | null })
    const failed = (members as readonly StoredResult[]).find(({ state }) => state !== 'SUCCESS')
    const body = callback as Signature
    if (failed === undefined) {
      await app.signature(body).delay((members as readonly StoredResult[]).map((member) => member.result))
      return null
    }
    for (const errback of listOf(body.options?.link_error)) await app.signature(errback as Signature).delay(body.options.task_id)
    throw named('ChordError', `Dependency ${failed.id} ended as ${failed.state}`)
  }

const isReady = (stored: StoredResult | undefined): boolean => stored !== undefined && READY_STATES.has(stored.state)

/**
 * Returns the ids in Celery's tuple form of results: `[[id, parent], null]`, or `[[id, parent], [members]]` for a group
 * (celery/result.py, as_tuple).
 */
function idsOf(result: unknown): string[] {
  return listOf(result).flatMap((tuple) => {
    const [own, members] = listOf(tuple)
    const [id] = listOf(own)
    if (Array.isArray(members)) return idsOf(members)
    if (typeof id !== 'string') throw new TypeError(`celery.chord_unlock: ${JSON.stringify(tuple)} is not a result`)
    return [id]
  })
}

const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : value == null ? [] : [value])

const named = (name: string, message: string) => Object.assign(new Error(message), { name })
