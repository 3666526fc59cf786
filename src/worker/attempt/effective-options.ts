import type { App } from '../../app/app.ts'
import type { Task } from '../../app/task.ts'
import { NO_LIMITS, type TimeLimits, timeLimits } from './limits.ts'

/** How this worker runs a task: its options, and what the worker says where they say nothing. Looked up once per task, not per message. */
export interface TaskSettings {
  readonly task: Task
  readonly early: boolean
  readonly ignoreResult: boolean
  readonly ttlSeconds: number | undefined
  readonly maxBytes: number
  readonly limits: TimeLimits
}

export interface SettingsOptions {
  readonly app: Pick<App, 'tasks'>
  /** For tasks that set none. */
  readonly timeLimits?: TimeLimits | undefined
  /** Bytes of a result's JSON, for tasks that set no limit. Default: any. */
  readonly resultMaxBytes?: number | undefined
}

export interface Settings {
  /** HOT: once per message. */
  of(task: string): TaskSettings | undefined
  /** Other limits for attempts that begin from now on; a value that is undefined: none. */
  setTimeLimits(task: string, limits: TimeLimits): void
}

export function createSettings({ app, timeLimits: ofWorker = NO_LIMITS, ...options }: SettingsOptions): Settings {
  const known = new Map<string, TaskSettings>()
  const changed = new Map<string, TimeLimits>()

  const make = (task: Task): TaskSettings => {
    const { acks, ignoreResult = false, resultTtl, resultMaxBytes, softTimeLimit, timeLimit } = task.options
    const settings: TaskSettings = {
      task,
      early: acks === 'early',
      ignoreResult,
      ttlSeconds: resultTtl,
      maxBytes: resultMaxBytes ?? options.resultMaxBytes ?? Number.POSITIVE_INFINITY,
      limits: changed.get(task.name) ?? timeLimits({ soft: softTimeLimit ?? ofWorker.soft, hard: timeLimit ?? ofWorker.hard }),
    }
    known.set(task.name, settings)
    return settings
  }

  return {
    of(name) {
      const settings = known.get(name)
      if (settings !== undefined) return settings
      const task = app.tasks.get(name)
      return task === undefined ? undefined : make(task)
    },
    setTimeLimits(name, limits) {
      changed.set(name, timeLimits(limits))
      known.delete(name)
    },
  }
}
