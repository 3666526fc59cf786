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

type Handler = (command: Command) => Promise<number>

const COMMANDS: Record<string, { readonly usage: string; readonly help: string; readonly handle: Handler }> = {
  start: { usage: 'start [PROCESS…]', help: 'run the processes of the Procfile', handle: start },
  check: { usage: 'check', help: 'read Procfile, .env and options; run nothing', handle: check },
  run: { usage: 'run [--] COMMAND…', help: 'run a command with the environment of .env', handle: run },
  export: {
    usage: 'export FORMAT LOCATION',
    help: 'write files for systemd, supervisord, upstart or runit',
    handle: exportFiles,
  },
  ps: { usage: 'ps', help: 'list the processes of a running "start"', handle: (command) => ask(command, 'ps') },
  restart: {
    usage: 'restart [PROCESS…]',
    help: 'stop them gracefully and start them again',
    handle: (command) => ask(command, 'restart'),
  },
  stop: { usage: 'stop [PROCESS…]', help: 'stop these, or the whole run', handle: (command) => ask(command, 'stop') },
  logs: {
    usage: 'logs [--follow] [PROCESS…]',
    help: 'print the last 1,000 lines of each',
    handle: (command) => ask(command, 'logs'),
  },
  version: { usage: 'version', help: 'print the version', handle: version },
  help: { usage: 'help', help: 'print this help', handle: help },
}

/** The commands that this module serves; `onedyno` has others besides. */
export const SUPERVISOR_COMMANDS: readonly string[] = Object.keys(COMMANDS)

/**
 * The supervisor's command line, `argv` being what follows the program's name. Resolves with the exit code, for
 * process.exit(): what could be written is written then, and what a reader never takes would hold the process for ever.
 * What a person can mend is written to stderr with a hint, everything else (what `hooks.attach` throws included) is thrown.
 */
export async function runSupervisorCommand(argv: readonly string[], io: CommandIo): Promise<number> {
  try {
    const { values, command, rest } = parseCommandLine(argv)
    const place = withDefaults({ cwd: io.cwd, env: io.env, values })
    if (values.version === true) return await version({ io, place, rest })
    if (values.help === true || command === undefined) {
      if (values.help === true) return await help({ io, place, rest })
      throw new SupervisorError('SUPERVISOR_USAGE', `a command is missing; it may be ${SUPERVISOR_COMMANDS.join(', ')}`)
    }
    const known = Object.hasOwn(COMMANDS, command) ? COMMANDS[command] : undefined
    if (known === undefined) {
      throw new SupervisorError('SUPERVISOR_USAGE', `"${command}" is no command; it may be ${SUPERVISOR_COMMANDS.join(', ')}`)
    }
    return await known.handle({ io, place, rest })
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
  return supervise({
    processes,
    env,
    cwd: io.cwd,
    stdout: io.stdout,
    control,
    ...settings,
    ...(attach !== undefined && { attach }),
  })
}

async function check({ io, place, rest }: Command): Promise<number> {
  const { env, warnings } = readEnv(place)
  const entries = readProcfile(place, env)
  readFormation(place, entries, env, rest)
  readSettings(place, env, entries)
  for (const warning of warnings) io.stderr.write(honchoLog('WARNING', warning))
  io.stderr.write(honchoLog('INFO', `Valid procfile detected (${entries.map((entry) => entry.name).join(', ')})`))
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
  const { app = defaultApp(root), user = userInfo().username, shell = '/bin/sh', log = `/var/log/${app}` } = place.values
  const stopSeconds = readSettings(place, env, entries).timeoutMs / 1000
  for (const path of writeExport(format, resolve(io.cwd, location), {
    app,
    user,
    shell,
    log,
    root,
    stopSeconds,
    env: fromFiles,
    processes,
  })) {
    io.stderr.write(honchoLog('INFO', `Writing ${path}`))
  }
  return 0
}

async function ask({ io, place, rest }: Command, command: ControlRequest['command']): Promise<number> {
  const { askSupervisor } = await import('./control-client.ts')
  return askSupervisor(appRoot(place), { command, names: rest, follow: place.values.follow === true }, io.stdout)
}

async function version({ io }: Command): Promise<number> {
  io.stdout.write(`onedyno ${packageVersion()}\n`)
  return 0
}

async function help({ io }: Command): Promise<number> {
  const commands = Object.values(COMMANDS).map(({ usage, help: text }) => `  ${usage.padEnd(26)} ${text}`)
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
