import { type Control, serveControl } from './control.ts'
import { createLifecycle, type Lifecycle } from './lifecycle.ts'
import type { Attach, Attached, SuperviseOptions } from './run-options.ts'
import { LAST_MS } from './stop-sequence.ts'

// This file is "onedyno/supervisor": the functions and types that a caller of supervise() needs.
export { parseEnvFile } from './env-file.ts'
export { SupervisorError, type SupervisorErrorCode } from './errors.ts'
export { type FormationOptions, type Instance, parseConcurrency, planFormation } from './formation.ts'
export { type MemoryLimits, parseMemoryLimits } from './memory-limit.ts'
export { type Entry, parseProcfile } from './procfile.ts'
export { parseRestart, type RestartPolicies, type RestartPolicy } from './restart-policy.ts'
export type { Attach, Attached, AttachHost, SuperviseOptions } from './run-options.ts'

/**
 * Runs the processes until the first cause to stop: a signal, a process whose end ends the run, or a closed output. Resolves
 * with the exit code: the exit code of the process that ended the run (128 + n for a death by signal n), 130 for SIGINT, 143 for
 * SIGTERM, 129 for SIGHUP, 141 if the reader of the output is gone, 0 if all processes have done their work. Never calls
 * process.exit.
 * @throws the error of `attach`, unless the run was already stopping; SupervisorError for an invalid format
 */
export async function supervise(options: SuperviseOptions): Promise<number> {
  const run = createLifecycle(options)
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
      if (attached !== undefined) await withTimeout(run.remainingMs(), attached.stop())
    } finally {
      run.close()
      control?.close()
      run.watchdog.file('')
      await withTimeout(Math.max(LAST_MS, run.remainingMs()), run.output.flushed())
      await withTimeout(LAST_MS, run.watchdog.close())
      release()
    }
  }
  return run.code()
}

async function openControl(path: string | undefined, run: Lifecycle): Promise<Control | undefined> {
  if (path === undefined || run.stopping.aborted) return undefined
  const control = await serveControl(path, run)
  if (control === undefined)
    run.output.say({ tag: 'note', text: `cannot listen at ${path}; ps, restart, stop and logs will not reach this run` })
  else run.watchdog.file(path)
  return control
}

/**
 * Starts the attached service. If `attach` rejects after its signal was aborted, this counts as a clean end. If it does not
 * settle in time, it is abandoned.
 */
async function bringUp(attach: Attach | undefined, run: Lifecycle): Promise<Attached | undefined> {
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

/** Resolves with the value of `promise`, or with undefined after `ms` milliseconds. Rejects as `promise` does. */
async function withTimeout<T>(ms: number, promise: Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, Math.max(0, ms), undefined)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

const STOP_SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT'] as const
/** Signals that are forwarded to the children, as foreman does. Each child decides what they mean. */
const FORWARDED = ['SIGUSR1', 'SIGUSR2'] as const

function listen(run: Lifecycle, options: SuperviseOptions): () => void {
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
