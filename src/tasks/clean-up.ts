import type { TaskOptions } from '../app/task-options.ts'
import type { Config } from '../config.ts'
import type { Results } from '../database/results.ts'

/** The task `onedyno.clean_up()` deletes results older than RESULT_TTL and returns their number. */
export const createCleanUp =
  (config: Pick<Config, 'resultTtlSeconds'>, results: Pick<Results, 'cleanUp'>) => async (): Promise<{ deleted: number }> => ({
    deleted: await results.cleanUp(config.resultTtlSeconds),
  })

export const cleanUpOptions: TaskOptions<[]> = {
  description: 'Deletes results older than RESULT_TTL (default: one day). A schedule runs it every hour.',
  args: [],
  example: [],
}
