import type { App } from '../../app/app.ts'
import type { Task } from '../../app/task.ts'

/** How long an attempt may take, in seconds. undefined: no limit. */
export interface TimeLimits {
  /** After this time `ctx.signal` aborts. */
  readonly soft: number | undefined
  /** After this time the attempt ends, even if its code still runs. */
  readonly hard: number | undefined
}

/** The options of a task in this worker: its own, and the worker's defaults where the task sets none. */
export interface TaskOptionsHere {
  readonly task: Task
  /** `acks: 'early'`: acknowledged before it runs. */
  readonly early: boolean
  readonly ignoreResult: boolean
  readonly ttlSeconds: number | undefined
  /** Bytes of the JSON of a result. */
  readonly maxBytes: number
  readonly limits: TimeLimits
}

export interface Defaults {
  readonly app: Pick<App, 'tasks'>
  /** For tasks that set none. */
  readonly timeLimits?: TimeLimits | undefined
  /** Bytes of a result's JSON, for tasks that set no limit. Default: any. */
  readonly resultMaxBytes?: number | undefined
}

export interface EffectiveOptions {
  /** HOT: called once per message, computed once per task. */
  of(task: string): TaskOptionsHere | undefined
  /** Other limits for attempts that start from now on. A value that is undefined: none. */
  setTimeLimits(task: string, limits: TimeLimits): void
}

const NO_LIMITS: TimeLimits = Object.freeze({ soft: undefined, hard: undefined })

/** The longest delay of a timer of Node, 24 days, in seconds. A longer limit counts as none. */
const LONGEST_S = 2_147_483

/** As Celery reads a limit: 0, null and values that are not numbers mean none. */
const limit = (value: unknown): number | undefined =>
  typeof value === 'number' && value > 0 && value <= LONGEST_S ? value : undefined

const timeLimits = (given: { readonly soft?: unknown; readonly hard?: unknown }): TimeLimits => ({
  soft: limit(given.soft),
  hard: limit(given.hard),
})

/** The `timelimit` of a message wins over the limits of its task. The header is not validated before: any producer may have sent it. */
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
