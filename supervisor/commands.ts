import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Writable } from 'node:stream'
import { setFlagsFromString } from 'node:v8'
import { SupervisorError } from './errors.ts'
import { describeOptions, parseCommandLine } from './options.ts'
import type { Entry } from './procfile.ts'
import { type Place, readEnv, readFormation, readProcfile, readSettings } from './settings.ts'
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
  version: { usage: 'version', help: 'print the version', handle: version },
  help: { usage: 'help', help: 'print this help', handle: help },
}

/** The commands that this module serves; `onedyno` has others besides. */
export const SUPERVISOR_COMMANDS: readonly string[] = Object.keys(COMMANDS)

/**
 * The supervisor's command line, `argv` being what follows the program's name. Resolves with the exit code; what a person
 * can mend is written to stderr with a hint, everything else (what `hooks.attach` throws included) is thrown.
 */
export async function runSupervisorCommand(argv: readonly string[], io: CommandIo): Promise<number> {
  try {
    const { values, command, rest } = parseCommandLine(argv)
    const place = { cwd: io.cwd, env: io.env, values }
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
  const { env, warnings } = readEnv(place)
  const entries = readProcfile(place, env)
  const processes = readFormation(place, entries, env, rest)
  const settings = readSettings(place, env, entries)
  for (const warning of warnings) io.stderr.write(`warning: ${warning}\n`)
  const attach = io.hooks?.attach?.(entries, env)
  const { supervise } = await import('./supervise.ts')
  // Lines live for microseconds, so a young generation that grows to its 32 MB only costs memory: 63 MB instead of 93 under
  // full load (Node 24), at the same speed. Ours to set, since this process does nothing else.
  setFlagsFromString('--semi-space-growth-factor=1')
  return supervise({ processes, env, cwd: io.cwd, stdout: io.stdout, ...settings, ...(attach !== undefined && { attach }) })
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
