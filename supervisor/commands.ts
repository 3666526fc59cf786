import { existsSync, readFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import type { Writable } from 'node:stream'
import { setFlagsFromString } from 'node:v8'
import type { ControlRequest } from './control.ts'
import { SupervisorError } from './errors.ts'
import { yieldPidOne } from './init.ts'
import { describeOptions, parseCommandLine } from './options.ts'
import type { Entry } from './procfile.ts'
import { appRoot, type Invocation, readEnv, readFormation, readProcfile, readSettings, withDefaults } from './settings.ts'
import type { Attach } from './supervise.ts'

export interface CommandIo {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly stdout: Writable & { readonly isTTY?: boolean }
  readonly stderr: Writable
  readonly cwd: string
  readonly hooks?: {
    /** Returns further lines about these entries for `check`. Throws if the entries are wrong. */
    readonly check?: (entries: readonly Entry[], env: Readonly<Record<string, string | undefined>>) => Promise<readonly string[]>
    /** Commands that the caller handles itself. They are listed in the error about an unknown command. */
    readonly others?: readonly string[]
    /**
     * Returns the function that starts a service before the children, or undefined. `env` includes the variables of the `.env`
     * files.
     */
    readonly attach?: (entries: readonly Entry[], env: Readonly<Record<string, string | undefined>>) => Attach | undefined
  }
}

/** The input of a command. `rest` is the words after its name. */
interface Command {
  readonly io: CommandIo
  readonly invocation: Invocation
  readonly rest: readonly string[]
}

type Handler = (command: Command) => Promise<number> | number

const askFor =
  (command: ControlRequest['command']): Handler =>
  async ({ io, invocation, rest }) => {
    const { askSupervisor } = await import('./control-client.ts')
    await askSupervisor(appRoot(invocation), { command, names: rest, follow: invocation.values.follow === true }, io.stdout)
    return 0
  }

const COMMANDS: Record<string, readonly [usage: string, help: string, handler: Handler]> = {
  start: ['start [PROCESS…]', 'run the processes of the Procfile', start],
  check: ['check', 'read Procfile, .env and options; run nothing', check],
  run: ['run [--] COMMAND…', 'run a command with the environment of .env', run],
  export: ['export FORMAT LOCATION', 'write files for systemd, supervisord or runit', exportFiles],
  ps: ['ps [PROCESS…]', 'list the processes of a running "start"', askFor('ps')],
  restart: ['restart [PROCESS…]', 'stop processes gracefully and start them again', askFor('restart')],
  stop: ['stop [PROCESS…]', 'stop processes, or the whole run', askFor('stop')],
  logs: ['logs [--follow] [PROCESS…]', 'print the last 1,000 lines of each process', askFor('logs')],
  version: ['version', 'print the version', version],
  help: ['help', 'print this help', help],
}

/** The commands of the supervisor. `onedyno` has further commands. */
export const SUPERVISOR_COMMANDS: readonly string[] = Object.keys(COMMANDS)

/**
 * Runs a command of the supervisor. `argv` is the command line without the program's name. Resolves with the exit code when all
 * output that can be written has been written. The caller must pass the exit code to process.exit(), because output that its
 * reader never takes would keep the process alive. A SupervisorError is written to stderr with its hint. Other errors, such as
 * errors of `hooks.attach`, are thrown.
 */
export async function runSupervisorCommand(argv: readonly string[], io: CommandIo): Promise<number> {
  // A reader that stops early, such as head(1), is not an error. A run stops in this case; it has its own listener.
  for (const stream of [io.stdout, io.stderr]) stream.on('error', () => {})
  try {
    const { values, command = '', rest } = parseCommandLine(argv)
    const wanted = values.version === true ? 'version' : values.help === true ? 'help' : command
    if (!Object.hasOwn(COMMANDS, wanted)) {
      const what = wanted === '' ? 'missing command' : `unknown command "${wanted}"`
      const others = io.hooks?.others ?? []
      if (others.includes(wanted)) throw new SupervisorError('SUPERVISOR_USAGE', `options of "${wanted}" must follow the command`)
      throw new SupervisorError('SUPERVISOR_USAGE', `${what}; the commands are ${[...SUPERVISOR_COMMANDS, ...others].join(', ')}`)
    }
    const invocation = { cwd: io.cwd, env: io.env, values }
    const handle = COMMANDS[wanted]![2]
    // The commands help and version do not read .onedyno, because they must work even if it is invalid.
    return await handle({ io, invocation: handle === help || handle === version ? invocation : withDefaults(invocation), rest })
  } catch (error) {
    if (!(error instanceof SupervisorError)) throw error
    io.stderr.write(`error: ${error.message}\nhint: ${error.hint}\n`)
    return error.exit
  }
}

async function start({ io, invocation, rest }: Command): Promise<number> {
  yieldPidOne()
  const { env, warnings } = readEnv(invocation)
  const entries = readProcfile(invocation, env)
  const processes = readFormation(invocation, entries, env, rest)
  const settings = readSettings(invocation, env, entries)
  for (const warning of warnings) io.stderr.write(`warning: ${warning}\n`)
  const attach = io.hooks?.attach?.(entries, env)
  const [{ supervise }, { controlPath }] = await Promise.all([import('./supervise.ts'), import('./control.ts')])
  // Keeps V8's young generation small: the process uses 63 MB instead of 93 MB under full load (Node 24), at the same speed,
  // because lines live for microseconds. Setting the flag is safe, because this process runs only the supervisor.
  setFlagsFromString('--semi-space-growth-factor=1')
  const control = controlPath(appRoot(invocation))
  return supervise({ ...settings, processes, env, cwd: io.cwd, stdout: io.stdout, control, ...(attach && { attach }) })
}

async function check({ io, invocation, rest }: Command): Promise<number> {
  const { env, warnings } = readEnv(invocation)
  const entries = readProcfile(invocation, env)
  readFormation(invocation, entries, env, rest)
  readSettings(invocation, env, entries)
  for (const warning of warnings) io.stderr.write(honchoLog('WARNING', warning))
  io.stderr.write(honchoLog('INFO', `Valid procfile detected (${entries.map((entry) => entry.name).join(', ')})`))
  for (const fact of (await io.hooks?.check?.(entries, env)) ?? []) io.stderr.write(honchoLog('INFO', fact))
  return 0
}

async function run({ io, invocation, rest }: Command): Promise<number> {
  const { env } = readEnv(invocation)
  const [file, ...args] = rest
  if (file === undefined) throw new SupervisorError('SUPERVISOR_USAGE', '"run" needs a command')
  const { runCommand } = await import('./run-command.ts')
  return runCommand(file, args, { env, cwd: io.cwd })
}

async function exportFiles({ io, invocation, rest }: Command): Promise<number> {
  const { defaultApp, writeExport } = await import('./export/export.ts')
  const [format, location] = rest
  if (format === undefined || location === undefined)
    throw new SupervisorError('SUPERVISOR_USAGE', '"export" needs a format and a location')
  const { env, fromFiles } = readEnv(invocation)
  const entries = readProcfile(invocation, env)
  const processes = readFormation(invocation, entries, env, [])
  const root = appRoot(invocation)
  const { app = defaultApp(root), user = userName(), shell = '/bin/sh', log = `/var/log/${app}` } = invocation.values
  const stopSeconds = readSettings(invocation, env, entries).timeoutMs / 1000
  const plan = { app, user, shell, log, root, stopSeconds, env: fromFiles, processes }
  for (const path of writeExport(format, resolve(io.cwd, location), plan)) io.stderr.write(honchoLog('INFO', `Writing ${path}`))
  return 0
}

/** Returns the name of the user, or the user id if the user has no name, as in some containers. */
function userName(): string {
  try {
    return userInfo().username
  } catch {
    return String(process.geteuid?.())
  }
}

function version({ io }: Command): number {
  io.stdout.write(`onedyno ${packageVersion()}\n`)
  return 0
}

function help({ io }: Command): number {
  const commands = Object.values(COMMANDS).map(([usage, text]) => `  ${usage.padEnd(26)} ${text}`)
  io.stdout.write(
    `usage: onedyno [OPTION…] COMMAND\n\n${commands.join('\n')}\n\nOptions, before or after the command:\n${describeOptions()}\n\n` +
      'Exit code: that of the first process that ended (128 + n after signal n), 130 after Ctrl-C,\n' +
      '143 after SIGTERM, 1 for an invalid Procfile or .env, 2 for an invalid command line,\n' +
      '78 for a wrong configuration of a child.\n',
  )
  return 0
}

/** Returns a line in the format of Honcho's log: local time, process id, level, text. */
function honchoLog(level: string, text: string): string {
  const now = new Date()
  const two = (value: number) => String(value).padStart(2, '0')
  const day = `${now.getFullYear()}-${two(now.getMonth() + 1)}-${two(now.getDate())}`
  return `${day} ${now.toTimeString().slice(0, 8)} [${process.pid}] [${level}] ${text}\n`
}

/** Returns the version in the nearest package.json above this file. The distance to it differs between the sources and dist/. */
function packageVersion(): string {
  for (let folder = import.meta.dirname; ; folder = dirname(folder)) {
    const path = join(folder, 'package.json')
    if (existsSync(path)) return (JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version
    if (folder === dirname(folder)) return 'of unknown version'
  }
}
