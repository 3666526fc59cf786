import { mkdirSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { SupervisorError } from '../errors.ts'
import type { Instance } from '../formation.ts'
import { exportRunit } from './runit.ts'
import { exportSupervisord } from './supervisord.ts'
import { exportSystemd } from './systemd.ts'
import { exportUpstart } from './upstart.ts'

/** What a template may use. */
export interface ExportPlan {
  readonly app: string
  readonly user: string
  /** Folder of the log files, for those that write any. */
  readonly log: string
  readonly shell: string
  /** The children's working directory, absolute. */
  readonly root: string
  readonly stopSeconds: number
  /** Of the `.env` files alone; the machine has an environment of its own. */
  readonly env: Readonly<Record<string, string>>
  readonly processes: readonly Instance[]
}

export interface ExportedFile {
  readonly path: string
  readonly text: string
  readonly executable?: boolean
}

const EXPORTERS: Record<string, (plan: ExportPlan) => ExportedFile[]> = {
  systemd: exportSystemd,
  supervisord: exportSupervisord,
  upstart: exportUpstart,
  runit: exportRunit,
}

export const EXPORT_FORMATS: readonly string[] = Object.keys(EXPORTERS)

/**
 * Writes the files of another process manager for the same processes; returns their paths.
 *
 * @throws SupervisorError OPTION_INVALID for an unknown format, EXPORT_FAILED
 */
export function writeExport(format: string, location: string, plan: ExportPlan): string[] {
  const exporter = Object.hasOwn(EXPORTERS, format) ? EXPORTERS[format] : undefined
  if (exporter === undefined) {
    throw new SupervisorError(
      'OPTION_INVALID',
      `cannot export to ${JSON.stringify(format)}; the formats are ${EXPORT_FORMATS.join(', ')}`,
    )
  }
  return exporter(plan).map(({ path, text, executable }) => {
    const full = join(location, path)
    try {
      mkdirSync(dirname(full), { recursive: true })
      // The environment may hold secrets.
      writeFileSync(full, text, { mode: executable === true ? 0o700 : 0o600 })
    } catch (cause) {
      throw new SupervisorError('EXPORT_FAILED', `cannot write ${full}: ${(cause as NodeJS.ErrnoException).code}`, { cause })
    }
    return full
  })
}

export const defaultApp = (root: string): string => basename(root).replace(/[^A-Za-z0-9_-]/g, '-') || 'app'

/** `web-1`: dots have a meaning of their own in unit names. */
export const dashed = ({ type, name }: Instance): string => `${type}-${name.slice(type.length + 1)}`

/** One word of a POSIX shell, quoted only where it must be. */
export const shellQuote = (text: string): string => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'"'"'`)}'`)

/** A process's own environment: that of the `.env` files and its port and name. */
export const environmentOf = (plan: ExportPlan, instance: Instance): [name: string, value: string][] =>
  Object.entries({ ...plan.env, PORT: String(instance.port), PS: instance.name }).toSorted(([a], [b]) => (a < b ? -1 : 1))
