import type { Instance } from '../formation.ts'

/** The input of an exporter. */
export interface ExportPlan {
  readonly app: string
  readonly user: string
  /** Folder of the log files, for formats that write them. */
  readonly log: string
  readonly shell: string
  /** Absolute working directory of the processes. */
  readonly root: string
  readonly stopSeconds: number
  /** The variables of the `.env` files only, because the target machine has its own environment. */
  readonly env: Readonly<Record<string, string>>
  readonly processes: readonly Instance[]
}

export interface ExportedFile {
  readonly path: string
  readonly text: string
  readonly executable?: boolean
}

/** Returns the name with a dash (`web-1`), because dots are special in unit names. */
export const dashed = ({ type, name }: Instance): string => `${type}-${name.slice(type.length + 1)}`

/** Returns the text as one word of a POSIX shell, quoted only if needed. */
export const shellQuote = (text: string): string => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'"'"'`)}'`)

/** Returns the environment of one process: the variables of the `.env` files, its port and its name. */
export const environmentOf = (plan: ExportPlan, instance: Instance): [name: string, value: string][] =>
  Object.entries({ ...plan.env, PORT: String(instance.port), PS: instance.name }).toSorted(([a], [b]) => (a < b ? -1 : 1))
