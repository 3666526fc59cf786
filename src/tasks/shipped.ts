import type { App } from '../app/app.ts'
import type { Config } from '../config.ts'
import type { Results } from '../database/results.ts'
import type { Log } from '../log.ts'
import { cleanUpOptions, createCleanUp } from './clean-up.ts'
import { echo, echoOptions } from './echo.ts'
import { createFetchUrl, fetchUrlOptions } from './fetch-url.ts'
import { createKeepAwake, keepAwakeOptions } from './keep-awake.ts'

interface ShippedTaskDependencies {
  readonly config: Config
  readonly log: Log
  readonly results: Pick<Results, 'cleanUp'>
}

/** Registers the tasks that onedyno provides. If the application has a task of the same name, the application's task stays. */
export function registerShippedTasks(app: App, { config, log, results }: ShippedTaskDependencies): void {
  if (!app.tasks.has('tasks.echo')) app.task('tasks.echo', echo, echoOptions)
  if (!app.tasks.has('tasks.fetch_url')) app.task('tasks.fetch_url', createFetchUrl(config), fetchUrlOptions)
  if (!app.tasks.has('onedyno.keep_awake')) app.task('onedyno.keep_awake', createKeepAwake(config, log), keepAwakeOptions)
  if (!app.tasks.has('onedyno.clean_up')) app.task('onedyno.clean_up', createCleanUp(config, results), cleanUpOptions)
}
