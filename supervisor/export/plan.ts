import type { Instance } from '../formation.ts'

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

/** `web-1`: dots have a meaning of their own in unit names. */
export const dashed = ({ type, name }: Instance): string => `${type}-${name.slice(type.length + 1)}`

/** One word of a POSIX shell, quoted only where it must be. */
export const shellQuote = (text: string): string => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'"'"'`)}'`)

/** A process's own environment: that of the `.env` files and its port and name. */
export const environmentOf = (plan: ExportPlan, instance: Instance): [name: string, value: string][] =>
  Object.entries({ ...plan.env, PORT: String(instance.port), PS: instance.name }).toSorted(([a], [b]) => (a < b ? -1 : 1))
