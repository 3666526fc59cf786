import type { Runner, TaskRun } from './attempt/ports.ts'
import type { Recycling } from './recycle.ts'
import type { ThreadRunner } from './threads/runner.ts'
import type { OwnLoopWatch } from './watchdog/loop-watch.ts'

export interface RunnerOptions {
  /** Where tasks without the option `pool` run. */
  readonly pool: 'async' | 'thread'
  /** Creates the thread runner. Called when the first task needs a thread. */
  readonly threads: () => Promise<ThreadRunner>
  readonly watch?: OwnLoopWatch | undefined
  readonly recycling?: Recycling | undefined
}

/** Returns true if this task runs in a thread. */
export const runsInThread = (
  task: { readonly options: { readonly pool?: 'async' | 'thread' | undefined } },
  pool: string,
): boolean => (task.options.pool ?? pool) === 'thread'

/**
 * Creates a runner. It runs code on the event loop, or in a thread if the option `pool` of the task or of the worker is
 * `thread`.
 */
export function createRunner({ pool, watch, recycling, ...options }: RunnerOptions): Runner {
  let opening: Promise<ThreadRunner> | undefined
  let threads: ThreadRunner | undefined

  const inThread = async (run: TaskRun): Promise<unknown> => {
    if (threads === undefined) {
      opening ??= options.threads()
      threads = await opening
    }
    return threads.run(run)
  }

  /** Runs a task on the event loop. The task blocks the loop until its first await, so that part is timed. HOT. */
  const onLoop = (run: TaskRun): Promise<unknown> => {
    if (watch === undefined) return run.task.run(run.context, run.body.args)
    watch.enter(run.delivery)
    const result = run.task.run(run.context, run.body.args)
    watch.leave(run.delivery, result)
    return result
  }

  const start = (run: TaskRun) => (runsInThread(run.task, pool) ? inThread(run) : onLoop(run))
  const counted = (recycling: Recycling) => (run: TaskRun) => {
    recycling.begun()
    return start(run).finally(recycling.ended)
  }
  return {
    waits: (task) => runsInThread(task, pool),
    run: recycling === undefined ? start : counted(recycling),
    abandon: (run) => threads?.abandon(run) ?? false,
    async close() {
      await (await opening)?.close()
    },
  }
}
