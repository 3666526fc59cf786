import type { Broker } from '../broker/broker.ts'
import type { Database } from '../database/database.ts'
import { createDeadLetters } from '../database/dead-letters.ts'
import { createQueueSettings } from '../database/queue-settings.ts'
import type { Results } from '../database/results.ts'
import { createSchedules } from '../database/schedules.ts'
import { createTaskReports } from '../database/task-reports.ts'
import { knownDepths } from './queue-depths.ts'

/** Returns the stores that the pages of the console read and write. */
export const webStores = (database: Database, broker: Broker, results: Results) => ({
  results,
  schedules: createSchedules(database),
  queues: { ...createQueueSettings(database), depths: knownDepths(broker) },
  deadLetters: createDeadLetters(database),
  reports: createTaskReports(database),
})
