import { readFileSync, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { parseDefaults } from './defaults-file.ts'
import { parseEnvFile } from './env-file.ts'
import { SupervisorError } from './errors.ts'
import { type Instance, mustBeKnown, parseConcurrency, planFormation } from './formation.ts'
import { createFormat, FORMATS } from './formats.ts'
import { parseMemoryLimits } from './memory-limit.ts'
import { type OptionValues, splitList } from './options.ts'
import { type Entry, parseProcfile } from './procfile.ts'
import { parseRestart } from './restart-policy.ts'

type Env = Readonly<Record<string, string | undefined>>

/** The folder, the environment and the options with which a command was started. */
export interface Invocation {
  readonly cwd: string
  readonly env: Env
  readonly values: OptionValues
}

/**
 * Adds the options of `.onedyno`. Options of the command line win. If `.onedyno` is the folder of the database, the options are
 * in its file "defaults".
 *
 * @throws SupervisorError PROCFILE_MISSING if the folder does not exist, DEFAULTS_INVALID
 */
export function withDefaults(invocation: Invocation): Invocation {
  const root = appRoot(invocation)
  if (!isFolder(root)) throw new SupervisorError('PROCFILE_MISSING', `folder ${root} does not exist`)
  const name = isFolder(resolve(root, '.onedyno')) ? '.onedyno/defaults' : '.onedyno'
  const text = readIfThere(resolve(root, name))
  return text === undefined ? invocation : { ...invocation, values: { ...parseDefaults(text, name), ...invocation.values } }
}

export interface ReadEnv {
  /** The real environment merged with the `.env` files. */
  readonly env: Record<string, string>
  /** The variables of the `.env` files only. */
  readonly fromFiles: Record<string, string>
  readonly warnings: string[]
}

export const appRoot = ({ cwd, values }: Invocation): string => resolve(cwd, values['app-root'] ?? '.')

/**
 * Reads the environment and the `.env` files. Precedence, weakest first: the real environment, then the `.env` files in order;
 * with --env-wins, the real environment is strongest. A missing `.env` is ignored, as in Honcho. A missing file that -e names
 * causes a warning.
 */
export function readEnv(invocation: Invocation): ReadEnv {
  const { env, values } = invocation
  const warnings: string[] = []
  const fromFiles: Record<string, string> = {}
  for (const name of splitList(values.env ?? '.env')) {
    const text = readIfThere(resolve(appRoot(invocation), name))
    if (text === undefined) {
      if (values.env !== undefined) warnings.push(`${name}: no such file`)
      continue
    }
    const file = parseEnvFile(text, name)
    Object.assign(fromFiles, file.values)
    warnings.push(...file.warnings)
  }
  const real = Object.fromEntries(Object.entries(env).filter((pair): pair is [string, string] => pair[1] !== undefined))
  const merged = values['env-wins'] === true ? { ...fromFiles, ...real } : { ...real, ...fromFiles }
  return { env: merged, fromFiles, warnings }
}

/** Reads the Procfile. @throws SupervisorError PROCFILE_MISSING, PROCFILE_INVALID */
export function readProcfile(invocation: Invocation, env: Env): Entry[] {
  const name = invocation.values.procfile ?? (env.PROCFILE || 'Procfile')
  const path = resolve(appRoot(invocation), name)
  const text = readIfThere(path)
  if (text === undefined) throw new SupervisorError('PROCFILE_MISSING', `no Procfile at ${path}`)
  return parseProcfile(text, name)
}

/** Plans the instances that the options ask for. @throws SupervisorError PROCESS_UNKNOWN, OPTION_INVALID */
export function readFormation(invocation: Invocation, entries: readonly Entry[], env: Env, only: readonly string[]): Instance[] {
  const { values } = invocation
  const given = values.port ?? (env.PORT || '5000')
  const instances = planFormation(entries, {
    only,
    concurrency: parseConcurrency(values.concurrency ?? ''),
    basePort: wholeNumber('--port', given, 1, 65_535),
    // If the real environment sets PORT, the platform routes requests to this port, so `web.1` must get it.
    webFirst: (invocation.env.PORT ?? '') !== '' || (invocation.env.DYNO ?? '') !== '',
  })
  if (instances.length === 0)
    throw new SupervisorError('OPTION_INVALID', 'nothing to start: every process has a concurrency of 0')
  return instances
}

/**
 * Checks the options of `start` and applies their defaults.
 *
 * @throws SupervisorError OPTION_INVALID, PROCESS_UNKNOWN
 */
export function readSettings({ values }: Invocation, env: Env, entries: readonly Entry[]) {
  const names = entries.map((entry) => entry.name)
  const quiet = splitList(values.quiet ?? '')
  const restart = parseRestart(values.restart ?? '')
  const maxMemory = parseMemoryLimits(values['max-memory'] ?? '')
  for (const name of [...quiet, ...restart.byType.keys(), ...maxMemory.keys()]) mustBeKnown(name, names)
  const onSlowLog = values['on-slow-log'] ?? 'block'
  if (onSlowLog !== 'block' && onSlowLog !== 'drop') {
    throw new SupervisorError('OPTION_INVALID', `--on-slow-log ${JSON.stringify(onSlowLog)} is neither block nor drop`)
  }
  const format = values.format ?? FORMATS[0]
  // Created only to throw on an invalid format, so that `check` reports it.
  createFormat({ format, names, tty: false, colour: false, stamped: false, prefix: true })
  const timeoutMs = seconds('--timeout', values.timeout ?? (env.SHUTDOWN_TIMEOUT || '25')) * 1000
  const colour = values['no-colour'] !== true
  const prefix = values['no-prefix'] !== true
  return { format, colour, prefix, quiet, onSlowLog, timeoutMs, restart, maxMemory } as const
}

function wholeNumber(what: string, text: string, min: number, max: number): number {
  const value = /^\d+$/.test(text.trim()) ? Number(text) : Number.NaN
  if (value >= min && value <= max) return value
  throw new SupervisorError('OPTION_INVALID', `${what} ${JSON.stringify(text)} is not a whole number from ${min} to ${max}`)
}

function seconds(what: string, text: string): number {
  const value = /^\d+(\.\d+)?$/.test(text.trim()) ? Number(text) : Number.NaN
  if (value <= 86_400) return value
  throw new SupervisorError('OPTION_INVALID', `${what} ${JSON.stringify(text)} is not a number of seconds from 0 to 86400`)
}

const isFolder = (path: string) => statSync(path, { throwIfNoEntry: false })?.isDirectory() === true

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return undefined
    throw new SupervisorError('OPTION_INVALID', `cannot read ${path}: ${code}`, { cause: error })
  }
}
