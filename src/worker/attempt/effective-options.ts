import type { App } from '../../app/app.ts'
import type { Task } from '../../app/task.ts'

/** Limits of the duration of an attempt, in seconds. undefined: no limit. */
export interface TimeLimits {
  /** After this time `ctx.signal` aborts. */
  readonly soft: number | undefined
  /** After this time the attempt ends, even if its code still runs. */
  readonly hard: number | undefined
}

/** The options of a task in this worker: its own options, and the worker's defaults for options that the task does not set. */
export interface TaskOptionsHere {
  readonly task: Task
  /** true: the message is acknowledged before the task runs (`acks: 'early'`). */
  readonly early: boolean
  readonly ignoreResult: boolean
  readonly ttlSeconds: number | undefined
  /** Largest size of a result's JSON, in bytes. */
  readonly maxBytes: number
  readonly limits: TimeLimits
}

export interface Defaults {
  readonly app: Pick<App, 'tasks'>
  /** Time limits for tasks that set none. */
  readonly timeLimits?: TimeLimits | undefined
  /** Largest size of a result's JSON in bytes, for tasks that set no limit. Default: no limit. */
  readonly resultMaxBytes?: number | undefined
}

export interface EffectiveOptions {
  /** Returns the options of a task; undefined if the task is unknown. HOT: called once per message, computed once per task. */
  of(task: string): TaskOptionsHere | undefined
  /** Changes the time limits of a task for attempts that start from now on. An undefined limit means no limit. */
  setTimeLimits(task: string, limits: TimeLimits): void
}

const NO_LIMITS: TimeLimits = Object.freeze({ soft: undefined, hard: undefined })

/** The longest delay of a timer in Node.js, 24 days, in seconds. A longer time limit counts as no limit. */
const LONGEST_S = 2_147_483

/** Reads a limit as Celery does: 0, null and values that are not numbers mean no limit. */
const limit = (value: unknown): number | undefined =>
  typeof value === 'number' && value > 0 && value <= LONGEST_S ? value : undefined

const timeLimits = (given: { readonly soft?: unknown; readonly hard?: unknown }): TimeLimits => ({
  soft: limit(given.soft),
  hard: limit(given.hard),
})

/**
 * Returns the limits of a message, whose header `timelimit` overrides the limits of the task. The header is validated here,
 * because any producer may have sent it.
 */
export function limitsOf(timelimit: unknown, ofTask: TimeLimits): TimeLimits {
  if (!Array.isArray(timelimit)) return ofTask
  const given = timeLimits({ hard: timelimit[0], soft: timelimit[1] })
  return { soft: given.soft ?? ofTask.soft, hard: given.hard ?? ofTask.hard }
}

export function createEffectiveOptions({ app, timeLimits: ofWorker = NO_LIMITS, ...defaults }: Defaults): EffectiveOptions {
  const known = new Map<string, TaskOptionsHere>()
  const changed = new Map<string, TimeLimits>()

  const compute = (task: Task): TaskOptionsHere => {
    const { acks, ignoreResult = false, resultTtl, resultMaxBytes, softTimeLimit, timeLimit } = task.options
    const options: TaskOptionsHere = {
      task,
      early: acks === 'early',
      ignoreResult,
      ttlSeconds: resultTtl,
      maxBytes: resultMaxBytes ?? defaults.resultMaxBytes ?? Number.POSITIVE_INFINITY,
      limits: changed.get(task.name) ?? timeLimits({ soft: softTimeLimit ?? ofWorker.soft, hard: timeLimit ?? ofWorker.hard }),
    }
    known.set(task.name, options)
    return options
  }

  return {
    of(name) {
      const options = known.get(name)
      if (options !== undefined) return options
      const task = app.tasks.get(name)
      return task === undefined ? undefined : compute(task)
    },
    setTimeLimits(name, limits) {
      changed.set(name, timeLimits(limits))
      known.delete(name)
    },
  }
}
