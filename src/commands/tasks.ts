import { parseArgs } from 'node:util'
import { signatureOf } from '../app/calls/arguments.ts'
import { parseConfig } from '../config.ts'
import { silentLog } from '../log.ts'
import { registerShippedTasks } from '../tasks/shipped.ts'
import { loadApp } from './load-app.ts'

export const help = `onedyno tasks: lists the registered tasks, one per line.

Usage: onedyno tasks [--app FILE]

      --app FILE        module that exports your application (ONEDYNO_APP)
  -h, --help            this text

Exit codes: 0 listed · 64 usage · 70 bug · 78 configuration`

/** Runs `onedyno tasks`. @returns the exit status */
export async function run(argv: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const { values } = parseArgs({ args: [...argv], options: { app: { type: 'string' } } })
  const config = parseConfig(env)
  const app = await loadApp(values.app ?? config.appModule)
  const results = { cleanUp: () => Promise.resolve(0) }
  registerShippedTasks(app, { config, log: silentLog(), results })
  for (const { name, options } of app.tasks.values()) {
    const call = options.args === undefined ? name : signatureOf(name, options.args)
    process.stdout.write(`${call}${options.description === undefined ? '' : `  ${options.description}`}\n`)
  }
  return 0
}
