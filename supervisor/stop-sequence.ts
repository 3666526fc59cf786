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
 * How long to wait after the stop request for a SIGTERM of the watchdog, which shows that the platform signals every
 * process. Such a burst takes a few milliseconds.
 */
const STORM_MS = 80
/** Signals within this time count as one: Ctrl-C may arrive both from the terminal and from a shell that forwards it. */
const BURST_MS = 300
/** From SIGKILL until a process that cannot die (state D) is abandoned, and the time to write the last bytes. */
export const LAST_MS = 1_000

interface StopSequenceOptions {
  /** From the stop request to SIGKILL for the children. */
  readonly childrenMs: number
  /** From the stop request until the run ends in any case. */
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
  // Annotated, because tsc cannot name this type in the declarations that it writes.
  const stopping: AbortSignal = controller.signal
  const { promise: outOfTime, resolve: giveUp } = Promise.withResolvers<undefined>()
  const timers = new Set<NodeJS.Timeout>()
  let budget: NodeJS.Timeout | undefined
  let cause: StopCause | undefined
  /** SIGTERM was sent, or left to the platform. */
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
    // In a storm a child may end before our own SIGTERM arrives: SIGTERM is the cause then, not the exit.
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
    /** The watchdog, a process that only a storm signals, received SIGTERM. */
    stormSeen() {
      stormAtMs = Date.now()
    },
    /** Cancels the steps that are left, because no process is left. */
    finish() {
      for (const timer of timers) clearTimeout(timer)
    },
    close: () => clearTimeout(budget),
    /** The rest of the budget; all of it before the stop request. */
    remainingMs: () => (cause === undefined ? timeoutMs : Math.max(0, stopAtMs + timeoutMs - Date.now())),
    code: () => codeOf(cause),
  }
}

function codeOf(cause: StopCause | undefined): number {
  if (cause === undefined) return 0
  if (cause.tag === 'exit') return exitCode(cause.exit)
  return 128 + signalNumber(cause.tag === 'signal' ? cause.signal : 'SIGPIPE')
}
