import { parseArgs } from 'node:util'
import { SupervisorError } from './errors.ts'

interface OptionSpec {
  readonly type: 'string' | 'boolean'
  readonly short?: string
  /** Placeholder of the value in the help text. undefined: the option takes no value. */
  readonly value?: string
  readonly help: string
}

/** All options. The parser and the help are made from this table, and docs/cli.md is checked against it. */
export const OPTIONS = {
  procfile: { type: 'string', short: 'f', value: 'FILE', help: 'Procfile to read (default $PROCFILE, else Procfile)' },
  env: { type: 'string', short: 'e', value: 'FILES', help: '.env files, comma separated; the last one wins (default .env)' },
  'app-root': { type: 'string', short: 'd', value: 'DIR', help: 'folder of the Procfile and .env (default current folder)' },
  port: { type: 'string', short: 'p', value: 'N', help: 'PORT of the first process (default $PORT, else 5000)' },
  concurrency: { type: 'string', short: 'c', value: 'LIST', help: 'instances: web=2,worker=0 or all=1 (default 1 each)' },
  quiet: { type: 'string', short: 'q', value: 'LIST', help: 'hide the output of these processes' },
  format: { type: 'string', value: 'F', help: 'auto, honcho, honcho-0.5, json, logfmt, none or "{time} {name} | {text}"' },
  'no-colour': { type: 'boolean', help: 'no colours (default: colours on a terminal without NO_COLOR)' },
  'no-prefix': { type: 'boolean', help: 'no time and name before each line' },
  restart: { type: 'string', value: 'LIST', help: 'never, on-failure or always; worker=on-failure:5 (default never)' },
  timeout: { type: 'string', value: 'SECONDS', help: 'from SIGTERM to SIGKILL (default $SHUTDOWN_TIMEOUT, else 25)' },
  'env-wins': { type: 'boolean', help: 'the real environment wins over .env (default: .env wins)' },
  'on-slow-log': { type: 'string', value: 'WHAT', help: 'block or drop, if the reader of the output is slow (default block)' },
  'max-memory': { type: 'string', value: 'LIST', help: 'restart a process above its limit: worker=200MB,web=1GB (default none)' },
  follow: { type: 'boolean', help: 'logs: keep printing new lines' },
  app: { type: 'string', short: 'a', value: 'NAME', help: 'export: name of the app (default the name of the folder)' },
  log: { type: 'string', short: 'l', value: 'DIR', help: 'export: folder of the log files (default /var/log/APP)' },
  user: { type: 'string', short: 'u', value: 'NAME', help: 'export: user of the processes (default current user)' },
  shell: { type: 'string', short: 's', value: 'PATH', help: 'export: shell of the commands (default /bin/sh)' },
  version: { type: 'boolean', short: 'v', help: 'print the version' },
  help: { type: 'boolean', short: 'h', help: 'print this help' },
} as const satisfies Record<string, OptionSpec>

export type OptionName = keyof typeof OPTIONS
export type OptionValues = { [Name in OptionName]?: (typeof OPTIONS)[Name]['type'] extends 'boolean' ? boolean : string }

export interface CommandLine {
  readonly values: OptionValues
  readonly command: string | undefined
  /** The words after the command. For `run` they include its options. */
  readonly rest: string[]
}

const parse = (args: string[], strict: boolean) =>
  parseArgs({
    args,
    options: { ...OPTIONS, 'no-color': { type: 'boolean' } },
    allowPositionals: true,
    allowNegative: false,
    strict,
    tokens: true,
  })

/**
 * Parses options before or after the command. After `run`, the first word that is no option, or `--`, begins the command to run.
 *
 * @throws SupervisorError SUPERVISOR_USAGE
 */
export function parseCommandLine(argv: readonly string[]): CommandLine {
  const { end, logsAt } = readWords(argv)
  // -f means --procfile, but after "logs" -f means --follow, as in other tools.
  const own = argv.slice(0, end).map((word, at) => (at > logsAt && word === '-f' ? '--follow' : word))
  const foreign = argv.slice(end)
  let parsed: ReturnType<typeof parse>
  try {
    parsed = parse(own, true)
  } catch (error) {
    throw new SupervisorError('SUPERVISOR_USAGE', (error as Error).message, { cause: error })
  }
  const { 'no-color': noColor, ...values } = parsed.values
  const [command, ...rest] = parsed.positionals
  if (foreign[0] === '--') foreign.shift()
  return {
    values: { ...values, ...(noColor === true && { 'no-colour': true }) } as OptionValues,
    command,
    rest: [...rest, ...foreign],
  }
}

/**
 * Finds the commands whose words are parsed differently. `end`: index of the first word of COMMAND in `run COMMAND…`; `logsAt`:
 * index of the command `logs`. Each is the length of `argv` if the command does not occur.
 */
function readWords(argv: readonly string[]): { end: number; logsAt: number } {
  let command: string | undefined
  for (const token of parse([...argv], false).tokens) {
    if (command === 'run' && token.kind !== 'option') return { end: token.index, logsAt: argv.length }
    if (command !== undefined || token.kind !== 'positional') continue
    command = token.value
    if (command === 'logs') return { end: argv.length, logsAt: token.index }
    if (command !== 'run') break
  }
  return { end: argv.length, logsAt: argv.length }
}

/** Returns the lines of the help text that describe the options. */
export function describeOptions(): string {
  return Object.entries(OPTIONS as Record<string, OptionSpec>)
    .map(([name, { short, value, help }]) => {
      const flag = `${short === undefined ? '    ' : `-${short}, `}--${name}${value === undefined ? '' : ` ${value}`}`
      return `  ${flag.padEnd(26)} ${help}`
    })
    .join('\n')
}

/** Returns the items of a comma-separated option value, trimmed, without empty items. */
export const splitList = (text: string): string[] =>
  text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '')
