import { createPlanner } from '../../app/canvas/plan.ts'
import { TimeLimitExceeded } from '../../app/task-errors.ts'
import type { Consumer } from '../../broker/broker.ts'
import { createRecorder } from '../../broker/outcomes/recorder.ts'
import { createDatabase } from '../../database/database.ts'
import type { Log } from '../../log.ts'
import { createAttempt } from '../attempt/attempt.ts'
import { createFinish, endedBy } from '../attempt/ending.ts'
import type { Guarded, WatchdogData } from './protocol.ts'

/**
 * Stores that tasks exceeded their time limit, as their worker would, with a separate connection: the first final outcome of an
 * id wins, waiting clients are notified, and errbacks are sent. Resolves when the outcomes are durable. Has no time limit of its
 * own.
 */
export async function recordTimeLimits(
  tasks: readonly Guarded[],
  { config, name, routes }: Omit<WatchdogData, 'shared' | 'blockedMs'>,
  log: Log,
): Promise<void> {
  if (tasks.length === 0) return
  const database = createDatabase(config, { name: 'watchdog', log, poolMax: 1 })
  const route = (task: string) => routes[task]
  const recorder = createRecorder(database, { name, log, planner: createPlanner(route), onStored: () => {} })
  const consumer: Pick<Consumer, 'finish'> = {
    finish: ({ message }, outcome, options) => recorder.record({ outcome, message, effects: options?.effects }),
  }
  const finish = createFinish({ log, route }, () => consumer)
  for (const { message, startedAt, limitMs } of tasks) {
    const attempt = createAttempt({ message, deliveries: 1, tag: undefined }, () => {})
    finish(attempt, endedBy('FAILURE', new TimeLimitExceeded(limitMs / 1000), { startedAt }))
  }
  await recorder.flush()
  await database.close()
}
