import { isatty } from 'node:tty'
import { type Exit, exitCode, signalNumber } from './exit.ts'
import type { LifeEvent } from './format.ts'
import type { Slot } from './slot.ts'

/** The reason why the run ends. */
export type StopCause =
  | { readonly tag: 'signal'; readonly signal: NodeJS.Signals }
  | { readonly tag: 'exit'; readonly exit: Exit }
  /** The reader of the output is gone (EPIPE). */
  | { readonly tag: 'broken' }

/**
 * Wait after the stop request for a SIGTERM to the watchdog, which shows that the platform signals every process itself. The
 * platform needs a few milliseconds for all processes. Milliseconds.
 */
const STORM_MS = 80
/**
 * Signals within this time count as one, because Ctrl-C may arrive twice: from the terminal, and from a shell that forwards it.
 * Milliseconds.
 */
const BURST_MS = 300
/**
 * Time from SIGKILL until a process that cannot die (state D) is abandoned. Also the time to write the last bytes. Milliseconds.
 */
export const LAST_MS = 1_000

interface StopSequenceOptions {
  /** Time from the stop request to SIGKILL for the children. Milliseconds. */
  readonly childrenMs: number
  /** Time from the stop request until the run ends in any case. Milliseconds. */
  readonly timeoutMs: number
  readonly say: (event: LifeEvent) => void
  readonly slots: () => readonly Slot[]
  /** Called once the first cause is recorded and all slots are stopping. */
  readonly onStop: () => void
}

/** The end of a run, in steps: mark the slots, SIGTERM, SIGTERM again after a storm, SIGKILL, abandon. */
export function createStopSequence(options: StopSequenceOptions) {
  const { childrenMs, timeoutMs, say, slots } = options
  const controller = new AbortController()
  // The type is annotated, because tsc cannot name the inferred type in the declarations that it writes.
  const stopping: AbortSignal = controller.signal
  const { promise: outOfTime, resolve: giveUp } = Promise.withResolvers<undefined>()
  const timers = new Set<NodeJS.Timeout>()
  let budget: NodeJS.Timeout | undefined
  let cause: StopCause | undefined
  /** True after SIGTERM was sent to the children, or left to the platform. */
  let termed = false
  let stopAtMs = 0
  let stormAtMs = 0

  const after = (ms: number, then: () => void) => timers.add(setTimeout(then, ms))
  const killAt = (atMs: number) => {
    for (const slot of slots()) slot.stop(atMs)
    after(atMs - Date.now() + LAST_MS, () => {
      for (const slot of slots()) slot.abandon()
    })
  }
  const termAll = () => {
    for (const slot of slots()) slot.term()
  }

  const term = () => {
    termed = true
    if (stopAtMs - stormAtMs > BURST_MS) return termAll()
    say({ tag: 'note', text: 'the platform sent SIGTERM to every process; not sending it again' })
    after(childrenMs / 2, termAll)
  }

  const stopAgain = (next: StopCause, first: StopCause) => {
    if (next.tag !== 'signal') return
    // In a storm a child may end before our own SIGTERM arrives. Then SIGTERM is the cause of the stop, not the exit of the
    // child.
    if (first.tag === 'exit' && !termed) cause = next
    if (next.signal === 'SIGINT' && isatty(0) && Date.now() - stopAtMs > BURST_MS) killAt(Date.now())
  }

  return {
    /** Aborted by the first cause. */
    stopping,
    /** Resolves when timeoutMs have passed since the first cause. */
    outOfTime,
    stop(next: StopCause) {
      if (next.tag === 'signal') say({ tag: 'received', signal: next.signal })
      if (cause !== undefined) return stopAgain(next, cause)
      cause = next
      stopAtMs = Date.now()
      controller.abort()
      killAt(stopAtMs + childrenMs)
      budget = setTimeout(giveUp, timeoutMs, undefined)
      // Ctrl-C is never a storm: each child has a session of its own, so the terminal signals only the supervisor.
      if (next.tag === 'signal' && next.signal === 'SIGINT') term()
      else after(STORM_MS, term)
      options.onStop()
    },
    /** Call when the watchdog has received SIGTERM. Only a storm signals the watchdog. */
    stormSeen() {
      stormAtMs = Date.now()
    },
    /** Cancels the remaining steps. Called when no process is left. */
    finish() {
      for (const timer of timers) clearTimeout(timer)
    },
    close: () => clearTimeout(budget),
    /** Returns the milliseconds that remain of timeoutMs; all of timeoutMs before the stop request. */
    remainingMs: () => (cause === undefined ? timeoutMs : Math.max(0, stopAtMs + timeoutMs - Date.now())),
    code: () => codeOf(cause),
  }
}

function codeOf(cause: StopCause | undefined): number {
  if (cause === undefined) return 0
  if (cause.tag === 'exit') return exitCode(cause.exit)
  return 128 + signalNumber(cause.tag === 'signal' ? cause.signal : 'SIGPIPE')
}
