#!/usr/bin/env node
// Imports only modules that old versions of Node have too, because the version is checked first. Each command then loads only
// the modules that it needs: the supervisor loads no web framework, the web process no undici.
import module from 'node:module'

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
if (major < 22 || (major === 22 && minor < 19)) {
  process.stderr.write(
    `error: Node ${process.versions.node} is too old, 22.19 or newer is needed\nhint: npm scripts of this package run on its own Node: use \`npm start\`, or \`npx onedyno\`\n`,
  )
  process.exit(78)
}
// Keeps compiled code between starts. If the disk outlives the process, this halves the time to load Fastify.
module.enableCompileCache()

interface RoleModule {
  readonly help: string
  run(argv: readonly string[], env: NodeJS.ProcessEnv): Promise<number>
}

/** The commands of the task system. The supervisor handles all other commands. */
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
  call                       enqueues a task, and waits for its result on request
  result                     prints the state and the result of a task
  revoke                     keeps tasks from running, by id, name or schedule
  purge                      deletes the messages that wait in a queue
  queues                     shows queues, pauses them and limits how many of their tasks run at once
  dead-letters               lists, requeues and deletes dead letters
  report                     prints versions, settings and reachable services, for a bug report
  inspect                    asks workers what they do
  control                    tells workers to revoke a task, take from another queue, shut down …
`

const [command = '', ...rest] = process.argv.slice(2)
const load = Object.hasOwn(COMMANDS, command) ? COMMANDS[command] : undefined
try {
  process.exitCode = load === undefined ? await supervisor(process.argv.slice(2)) : await runRole(await load(), rest)
} catch (error) {
  process.exitCode = await report(error as Error & { hint?: string; exit?: number; code?: string })
}
// At this point everything important is closed and written. A half-open connection must not keep the process alive.
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

/** Prints a failure that a person can fix as one line and a hint, and every other failure as a bug with its stack. */
async function report(error: Error & { hint?: string; exit?: number; code?: string }): Promise<number> {
  const { maskUrls } = await import('./log-text.ts')
  const isUsage = error.code === 'USAGE' || error.code?.startsWith('ERR_PARSE_ARGS_') === true
  if (error.hint === undefined && !isUsage) {
    process.stderr.write(`bug: ${maskUrls(String(error.stack ?? error))}\nhint: please report this with the line above\n`)
    return 70
  }
  process.stderr.write(
    `error: ${maskUrls(error.message)}\nhint: ${isUsage ? `\`onedyno ${command} --help\` shows the options` : error.hint}\n`,
  )
  return error.exit ?? 64
}
