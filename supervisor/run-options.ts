import type { Writable } from 'node:stream'
import type { Instance } from './formation.ts'
import type { MemoryLimits } from './memory-limit.ts'
import type { RestartPolicies } from './restart-policy.ts'

/** A service of the caller, such as a database, that starts before the first child and stops after the last. */
export interface Attached {
  /** Variables that are added to the environment of every child. */
  readonly env: Readonly<Record<string, string>>
  /** Stops the service. Called once, after all children have ended. */
  stop(): Promise<void>
}

export interface AttachHost {
  /** Returns a function that writes the output of another process, with the name as prefix. The function takes bytes. */
  log(name: string): (chunk: Buffer) => void
  /** Aborted when the run begins to stop. */
  readonly signal: AbortSignal
}

export type Attach = (host: AttachHost) => Promise<Attached>

export interface SuperviseOptions {
  /** The processes to run; see planFormation(). */
  readonly processes: readonly Instance[]
  /** Environment of the children. PORT, PS, HONCHO_PROCESS_NAME, ONEDYNO_PROCESS and SHUTDOWN_TIMEOUT are added. Default process.env. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Working directory of the children. Default the current one. */
  readonly cwd?: string
  /** Where the output is written. Default process.stdout. */
  readonly stdout?: Writable & { readonly isTTY?: boolean }
  /** A name of FORMATS or a template. Default "auto". */
  readonly format?: string
  /** False: no colours. Default: colours on a terminal, unless NO_COLOR is set. */
  readonly colour?: boolean
  /** False: lines have no name and no time. */
  readonly prefix?: boolean
  /** Types whose lines are hidden. */
  readonly quiet?: readonly string[]
  readonly onSlowLog?: 'block' | 'drop'
  /** Milliseconds from the first stop request until the remaining children get SIGKILL and the attached service is abandoned. Default 25,000. */
  readonly timeoutMs?: number
  readonly restart?: RestartPolicies
  readonly maxMemory?: MemoryLimits
  /** Path of the socket that serves `ps`, `restart`, `stop` and `logs`; see controlPath(). Default: no socket. */
  readonly control?: string
  readonly attach?: Attach
  /** Stops the run as SIGTERM does. */
  readonly signal?: AbortSignal
  /** False: the caller handles the signals of this Node process. Default true. */
  readonly handleSignals?: boolean
}
