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
  /** Its page. */
  readonly path: string
}

/**
 * HOT: queues the task, or stores its schedule. The row that makes the id known and the message leave side by side: each waits for a commit, and
 * neither needs the other, because a result that comes first is kept.
 * @throws AppError BROKER_UNREACHABLE when the message was not taken; then the row is gone again. MESSAGE_UNCONFIRMED: nobody knows, it stays
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
    // A row that stays says PENDING until clean_up; the person is told the truth below.
    if (!unconfirmed) await results.forget(id).catch(() => {})
    throw sent.reason
  }
  // The task is queued and will be recorded by its worker; only its page is late.
  if (recorded.status === 'rejected') log.warn({ err: recorded.reason, task, id }, 'task sent, but its id could not be recorded')
  return { kind: 'run', id, path: runPath(task, id) }
}
