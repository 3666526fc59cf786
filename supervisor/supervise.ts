import type { Writable } from 'node:stream'
import { type Control, serveControl } from './control.ts'
import type { Instance } from './formation.ts'
import { createRun, LAST_MS, type Run } from './lifecycle.ts'
import type { MemoryLimits } from './memory-limit.ts'
import type { RestartPolicies } from './restart-policy.ts'
import { within } from './within.ts'

// What a caller needs besides to say what to run: "onedyno/supervisor" is this file.
export { parseEnvFile } from './env-file.ts'
export { SupervisorError, type SupervisorErrorCode } from './errors.ts'
export { type FormationOptions, type Instance, parseConcurrency, planFormation } from './formation.ts'
export { type MemoryLimits, parseMemoryLimits } from './memory-limit.ts'
export { type Entry, parseProcfile } from './procfile.ts'
export { parseRestart, type RestartPolicies, type RestartPolicy } from './restart-policy.ts'

/** What the caller brings up before the first child and takes down after the last: a database, for example. */
export interface Attached {
  /** Given to every child. */
  readonly env: Readonly<Record<string, string>>
  /** Called once, after all children have ended. */
  stop(): Promise<void>
}

export interface AttachHost {
  /** A sink for the output of a process of the caller's: bytes in, prefixed lines out. */
  log(name: string): (chunk: Buffer) => void
  /** Aborted when the run is asked to stop. */
  readonly signal: AbortSignal
}

export type Attach = (host: AttachHost) => Promise<Attached>

export interface SuperviseOptions {
  /** What to run; see planFormation(). */
  readonly processes: readonly Instance[]
  /** The children's environment; PORT, PS, HONCHO_PROCESS_NAME, ONEDYNO_PROCESS and SHUTDOWN_TIMEOUT are added. Default process.env. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** The children's working directory. Default the current one. */
  readonly cwd?: string
  /** Default process.stdout. */
  readonly stdout?: Writable & { readonly isTTY?: boolean }
  /** A name of FORMATS or a template. Default auto. */
  readonly format?: string
  /** False: never colours. Default: on a terminal without NO_COLOR. */
  readonly colour?: boolean
  /** False: no name, no time. */
  readonly prefix?: boolean
  /** Types whose lines are not shown. */
  readonly quiet?: readonly string[]
  readonly onSlowLog?: 'block' | 'drop'
  /** From the first request to stop to SIGKILL for what is left, the attached thing included; milliseconds. Default 25,000. */
  readonly timeoutMs?: number
  readonly restart?: RestartPolicies
  readonly maxMemory?: MemoryLimits
  /** Where to listen for `ps`, `restart`, `stop` and `logs`; see controlPath(). Default nowhere. */
  readonly control?: string
  readonly attach?: Attach
  /** Stops the run as SIGTERM does. */
  readonly signal?: AbortSignal
  /** False: leaves the signals of this Node process to the caller. Default true. */
  readonly handleSignals?: boolean
}

/**
 * Runs the processes until the first cause to end: a signal, a process whose end ends the run, or a closed output. Resolves
 * with the exit code: that process's code (128 + n for a death by signal n), 130 for SIGINT, 143 for SIGTERM, 129 for
 * SIGHUP, 141 when nobody reads the output any more, 0 when all processes have done their work. Never calls process.exit.
 *
 * @throws what `attach` throws, unless the run was asked to stop before; SupervisorError for a bad format
 */
export async function supervise(options: SuperviseOptions): Promise<number> {
  const run = createRun(options)
  const release = listen(run, options)
  let attached: Attached | undefined
  let control: Control | undefined
  try {
    attached = await bringUp(options.attach, run)
    if (!run.stopping.aborted) run.start(attached?.env ?? {})
    control = await openControl(options.control, run)
    await run.finished
  } finally {
    try {
      if (attached !== undefined) await within(run.remainingMs(), attached.stop())
    } finally {
      run.close()
      control?.close()
      run.watchdog.file('')
      await within(Math.max(LAST_MS, run.remainingMs()), run.output.flushed())
      await within(LAST_MS, run.watchdog.close())
      release()
    }
  }
  return run.code()
}

async function openControl(path: string | undefined, run: Run): Promise<Control | undefined> {
  if (path === undefined || run.stopping.aborted) return undefined
  const control = await serveControl(path, run)
  if (control === undefined)
    run.output.say({ tag: 'note', text: `cannot listen at ${path}: ps, restart, stop and logs will not reach this run` })
  else run.watchdog.file(path)
  return control
}

/** An attach that is asked to stop may reject in its own way: that is a clean end. One that neither rejects nor resolves is left. */
async function bringUp(attach: Attach | undefined, run: Run): Promise<Attached | undefined> {
  if (attach === undefined || run.stopping.aborted) return undefined
  const coming = attach({ log: run.openLog, signal: run.stopping })
  try {
    const attached = await Promise.race([coming, run.outOfTime])
    if (attached === undefined) coming.then((late) => late.stop()).catch(() => {})
    return attached
  } catch (error) {
    if (run.stopping.aborted) return undefined
    throw error
  }
}

const STOP_SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT'] as const
/** foreman forwards these to its children; what they mean is theirs to say. */
const FORWARDED = ['SIGUSR1', 'SIGUSR2'] as const

function listen(run: Run, options: SuperviseOptions): () => void {
  const onAbort = () => run.stop({ tag: 'signal', signal: 'SIGTERM' })
  const onStop = (signal: NodeJS.Signals) => run.stop({ tag: 'signal', signal })
  options.signal?.addEventListener('abort', onAbort)
  if (options.signal?.aborted === true) onAbort()
  if (options.handleSignals !== false) {
    for (const signal of STOP_SIGNALS) process.on(signal, onStop)
    for (const signal of FORWARDED) process.on(signal, run.forward)
  }
  return () => {
    options.signal?.removeEventListener('abort', onAbort)
    for (const signal of STOP_SIGNALS) process.off(signal, onStop)
    for (const signal of FORWARDED) process.off(signal, run.forward)
  }
}
