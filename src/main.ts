#!/usr/bin/env node
// Only node: modules are imported here, and none that an old Node lacks: the version is checked before anything else is loaded, and each
// command loads only what it needs (the supervisor no web framework, the web process no undici).
import module from 'node:module'

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
if (major < 22 || (major === 22 && minor < 19)) {
  process.stderr.write(
    `error: Node ${process.versions.node} is too old, 22.19 or newer is needed\nhint: npm scripts of this package run on its own Node: use \`npm start\`, or \`npx onedyno\`\n`,
  )
  process.exit(78)
}
// Compiled code is kept between starts: half the time to load Fastify, where the disk outlives the process.
module.enableCompileCache()

interface RoleModule {
  readonly help: string
  run(argv: readonly string[], env: NodeJS.ProcessEnv): Promise<number>
}

/** Commands of the task system; all others are the supervisor's. */
const COMMANDS: Readonly<Record<string, () => Promise<RoleModule>>> = {
  web: () => import('./commands/web.ts'),
  worker: () => import('./commands/worker.ts'),
  beat: () => import('./commands/beat.ts'),
  migrate: () => import('./commands/migrate.ts'),
  tasks: () => import('./commands/tasks.ts'),
  inspect: () => import('./commands/inspect.ts'),
  control: () => import('./commands/control.ts'),
  call: () => import('./commands/call.ts'),
  result: () => import('./commands/result.ts'),
  revoke: () => import('./commands/revoke.ts'),
  purge: () => import('./commands/purge.ts'),
  queues: () => import('./commands/queues.ts'),
  'dead-letters': () => import('./commands/dead-letters.ts'),
  report: () => import('./commands/report.ts'),
}

const helpOfRoles = `
Commands of the task system, each with its own --help:

  web                        the form and the status pages
  worker                     runs tasks
  beat                       sends periodic tasks
  migrate                    brings the database to this version
  tasks                      lists the registered tasks
  call                       enqueues a task, and waits for its result when asked to
  result                     prints what is known of a task
  revoke                     tasks that are not to run, by id, name or schedule
  purge                      throws away the messages that wait in a queue
  queues                     shows queues, pauses them, limits how many of their tasks run at once
  dead-letters               lists and requeues messages that were kept aside
  report                     versions, settings and what answers, for a bug report
  inspect                    asks workers what they do
  control                    tells workers to revoke a task, take from another queue, shut down …
`

const [command = '', ...rest] = process.argv.slice(2)
const load = Object.hasOwn(COMMANDS, command) ? COMMANDS[command] : undefined
try {
  process.exitCode = load === undefined ? await supervisor(process.argv.slice(2)) : await runRole(await load(), rest)
} catch (error) {
  process.exitCode = report(error as Error & { hint?: string; exit?: number; code?: string })
}
// A connection that a broken network keeps half open must not keep the process: everything that matters is closed and flushed by now.
setTimeout(() => process.exit(), 1000).unref()

async function runRole(role: RoleModule, argv: string[]): Promise<number> {
  if (argv.includes('--help') || argv.includes('-h')) {
    process.stdout.write(`${role.help}\n`)
    return 0
  }
  return role.run(argv, process.env)
}

async function supervisor(argv: string[]): Promise<number> {
  const { runSupervisorCommand } = await import('../supervisor/commands.ts')
  const { attachDatabase, describeServers } = await import('./commands/start.ts')
  const { returnMemoryOfStart } = await import('./commands/return-memory.ts')
  returnMemoryOfStart()
  const status = await runSupervisorCommand(argv, {
    env: process.env,
    cwd: process.cwd(),
    stdout: process.stdout,
    stderr: process.stderr,
    hooks: { attach: attachDatabase(process.cwd()), check: describeServers, others: Object.keys(COMMANDS) },
  })
  if (['help', '--help', '-h'].includes(command)) process.stdout.write(helpOfRoles)
  return status
}

/** What a person can mend is one line and a hint; anything else is a bug and shows its stack. */
function report(error: Error & { hint?: string; exit?: number; code?: string }): number {
  const isUsage = error.code === 'USAGE' || error.code?.startsWith('ERR_PARSE_ARGS_') === true
  if (error.hint === undefined && !isUsage) {
    process.stderr.write(`bug: ${error.stack ?? error}\nhint: please report this with the line above\n`)
    return 70
  }
  process.stderr.write(
    `error: ${error.message}\nhint: ${isUsage ? `\`onedyno ${command} --help\` shows the options` : error.hint}\n`,
  )
  return error.exit ?? 64
}
