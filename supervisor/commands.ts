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
import { appRoot, type Place, readEnv, readFormation, readProcfile, readSettings, withDefaults } from './settings.ts'
import type { Attach } from './supervise.ts'

export interface CommandIo {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly stdout: Writable & { readonly isTTY?: boolean }
  readonly stderr: Writable
  readonly cwd: string
  readonly hooks?: {
    /** What else there is to say of these lines in this environment; throws where it is wrong. */
    readonly check?: (entries: readonly Entry[], env: Readonly<Record<string, string | undefined>>) => Promise<readonly string[]>
    /** Commands that the caller serves itself: named where a command is wrong. */
    readonly others?: readonly string[]
    /** What to bring up before the children of this Procfile in this environment (`.env` included), if anything. */
    readonly attach?: (entries: readonly Entry[], env: Readonly<Record<string, string | undefined>>) => Attach | undefined
  }
}

/** What a command works with; `rest` is what follows its name. */
export interface Command {
  readonly io: CommandIo
  readonly place: Place
  readonly rest: readonly string[]
}

type Handler = (command: Command) => Promise<number> | number

const askFor =
  (command: ControlRequest['command']): Handler =>
  async ({ io, place, rest }) => {
    const { askSupervisor } = await import('./control-client.ts')
    await askSupervisor(appRoot(place), { command, names: rest, follow: place.values.follow === true }, io.stdout)
    return 0
  }

const COMMANDS: Record<string, readonly [usage: string, help: string, handler: Handler]> = {
  start: ['start [PROCESS…]', 'run the processes of the Procfile', start],
  check: ['check', 'read Procfile, .env and options; run nothing', check],
  run: ['run [--] COMMAND…', 'run a command with the environment of .env', run],
  export: ['export FORMAT LOCATION', 'write files for systemd, supervisord or runit', exportFiles],
  ps: ['ps [PROCESS…]', 'list the processes of a running "start"', askFor('ps')],
  restart: ['restart [PROCESS…]', 'stop them gracefully and start them again', askFor('restart')],
  stop: ['stop [PROCESS…]', 'stop these, or the whole run', askFor('stop')],
  logs: ['logs [--follow] [PROCESS…]', 'print the last 1,000 lines of each', askFor('logs')],
  version: ['version', 'print the version', version],
  help: ['help', 'print this help', help],
}

/** The commands that this module serves; `onedyno` has others besides. */
export const SUPERVISOR_COMMANDS: readonly string[] = Object.keys(COMMANDS)

/**
 * The supervisor's command line, `argv` being what follows the program's name. Resolves with the exit code, for
 * process.exit(): what could be written is written then, and what a reader never takes would hold the process for ever.
 * What a person can mend is written to stderr with a hint, everything else (what `hooks.attach` throws included) is thrown.
 */
export async function runSupervisorCommand(argv: readonly string[], io: CommandIo): Promise<number> {
  // A reader who has seen enough, such as head(1), is no error; a run learns of it by itself, and stops.
  for (const stream of [io.stdout, io.stderr]) stream.on('error', () => {})
  try {
    const { values, command = '', rest } = parseCommandLine(argv)
    const wanted = values.version === true ? 'version' : values.help === true ? 'help' : command
    if (!Object.hasOwn(COMMANDS, wanted)) {
      const what = wanted === '' ? 'a command is missing' : `"${wanted}" is no command`
      const others = io.hooks?.others ?? []
      if (others.includes(wanted)) throw new SupervisorError('SUPERVISOR_USAGE', `the options of "${wanted}" stand behind it`)
      throw new SupervisorError('SUPERVISOR_USAGE', `${what}; it may be ${[...SUPERVISOR_COMMANDS, ...others].join(', ')}`)
    }
    const place = { cwd: io.cwd, env: io.env, values }
    const handle = COMMANDS[wanted]![2]
    // A wrong .onedyno must not keep anybody from the help.
    return await handle({ io, place: handle === help || handle === version ? place : withDefaults(place), rest })
  } catch (error) {
    if (!(error instanceof SupervisorError)) throw error
    io.stderr.write(`error: ${error.message}\nhint: ${error.hint}\n`)
    return error.exit
  }
}

async function start({ io, place, rest }: Command): Promise<number> {
  yieldPidOne()
  const { env, warnings } = readEnv(place)
  const entries = readProcfile(place, env)
  const processes = readFormation(place, entries, env, rest)
  const settings = readSettings(place, env, entries)
  for (const warning of warnings) io.stderr.write(`warning: ${warning}\n`)
  const attach = io.hooks?.attach?.(entries, env)
  const [{ supervise }, { controlPath }] = await Promise.all([import('./supervise.ts'), import('./control.ts')])
  // Lines live for microseconds, so a young generation that grows to its 32 MB only costs memory: 63 MB instead of 93 under
  // full load (Node 24), at the same speed. Ours to set, since this process does nothing else.
  setFlagsFromString('--semi-space-growth-factor=1')
  const control = controlPath(appRoot(place))
  return supervise({ ...settings, processes, env, cwd: io.cwd, stdout: io.stdout, control, ...(attach && { attach }) })
}

async function check({ io, place, rest }: Command): Promise<number> {
  const { env, warnings } = readEnv(place)
  const entries = readProcfile(place, env)
  readFormation(place, entries, env, rest)
  readSettings(place, env, entries)
  for (const warning of warnings) io.stderr.write(honchoLog('WARNING', warning))
  io.stderr.write(honchoLog('INFO', `Valid procfile detected (${entries.map((entry) => entry.name).join(', ')})`))
  for (const fact of (await io.hooks?.check?.(entries, env)) ?? []) io.stderr.write(honchoLog('INFO', fact))
  return 0
}

async function run({ io, place, rest }: Command): Promise<number> {
  const { env } = readEnv(place)
  const [file, ...args] = rest
  if (file === undefined) throw new SupervisorError('SUPERVISOR_USAGE', '"run" needs a command')
  const { runCommand } = await import('./run-command.ts')
  return runCommand(file, args, { env, cwd: io.cwd })
}

async function exportFiles({ io, place, rest }: Command): Promise<number> {
  const { defaultApp, writeExport } = await import('./export/export.ts')
  const [format, location] = rest
  if (format === undefined || location === undefined)
    throw new SupervisorError('SUPERVISOR_USAGE', '"export" needs a format and a location')
  const { env, fromFiles } = readEnv(place)
  const entries = readProcfile(place, env)
  const processes = readFormation(place, entries, env, [])
  const root = appRoot(place)
  const { app = defaultApp(root), user = userName(), shell = '/bin/sh', log = `/var/log/${app}` } = place.values
  const stopSeconds = readSettings(place, env, entries).timeoutMs / 1000
  const plan = { app, user, shell, log, root, stopSeconds, env: fromFiles, processes }
  for (const path of writeExport(format, resolve(io.cwd, location), plan)) io.stderr.write(honchoLog('INFO', `Writing ${path}`))
  return 0
}

/** A container may run as a number that has no name. */
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
      '143 after SIGTERM, 1 for a wrong Procfile or .env, 2 for a wrong command line, 78 from a child: configuration.\n',
  )
  return 0
}

/** As Honcho's log: local time, process id, level. */
function honchoLog(level: string, text: string): string {
  const now = new Date()
  const two = (value: number) => String(value).padStart(2, '0')
  const day = `${now.getFullYear()}-${two(now.getMonth() + 1)}-${two(now.getDate())}`
  return `${day} ${now.toTimeString().slice(0, 8)} [${process.pid}] [${level}] ${text}\n`
}

/** Of the package.json above this file, which is at another depth in dist/. */
function packageVersion(): string {
  for (let folder = import.meta.dirname; ; folder = dirname(folder)) {
    const path = join(folder, 'package.json')
    if (existsSync(path)) return (JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version
    if (folder === dirname(folder)) return 'of unknown version'
  }
}
