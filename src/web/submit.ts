import { v7 as uuidv7 } from 'uuid'
import type { App } from '../app/app.ts'
import type { Results } from '../database/results.ts'
import type { Schedules } from '../database/schedules.ts'
import { AppError } from '../errors.ts'
import type { Log } from '../log.ts'
import { runPath, schedulePath } from './paths.ts'
import type { Submission } from './submission.ts'

export interface SubmitDependencies {
  readonly app: Pick<App, 'tasks' | 'sendTask'>
  readonly results: Pick<Results, 'recordSent' | 'forget'>
  readonly schedules: Pick<Schedules, 'create'>
  readonly log: Log
}

export interface Submitted {
  readonly kind: 'run' | 'schedule'
  readonly id: string
  /** Path of the page of the run or the schedule. */
  readonly path: string
}

/**
 * HOT. Queues the task, or stores its schedule. Writes the row with the id and the message at the same time: each write waits
 * for a commit, and neither needs the other, because a result that arrives first is kept.
 * @throws AppError BROKER_UNREACHABLE if the broker did not take the message; the row is deleted. MESSAGE_UNCONFIRMED if the
 * message may be queued; the row stays
 */
export async function submit(
  { task, args, schedule }: Submission,
  { app, results, schedules, log }: SubmitDependencies,
): Promise<Submitted> {
  if (schedule !== undefined) {
    const id = await schedules.create({ task, args, schedule })
    return { kind: 'schedule', id, path: schedulePath(id) }
  }
  const id = uuidv7()
  const queue = app.tasks.get(task)?.options.queue ?? 'celery'
  const recording = results.recordSent({ id, task, queue, args: `[${JSON.stringify(args)},{}]` })
  const [sent, recorded] = await Promise.allSettled([app.sendTask(task, args, { taskId: id }), recording])
  if (sent.status === 'rejected') {
    const unconfirmed = sent.reason instanceof AppError && sent.reason.code === 'MESSAGE_UNCONFIRMED'
    // If the delete fails, the row stays PENDING until clean_up. The user still sees the error that is thrown below.
    if (!unconfirmed) await results.forget(id).catch(() => {})
    throw sent.reason
  }
  // The task is queued, and its worker will store the row. Only the page of the run appears later.
  if (recorded.status === 'rejected') log.warn({ err: recorded.reason, task, id }, 'task sent, but its id could not be recorded')
  return { kind: 'run', id, path: runPath(task, id) }
}
