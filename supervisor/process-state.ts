import type { Exit } from './exit.ts'

/** ARCHITECTURE.md, "The life of a process", has the diagram of these states. */
export type State =
  | { readonly tag: 'starting' }
  | { readonly tag: 'running'; readonly pid: number; readonly sinceMs: number }
  /** The process was asked to stop. `killed` is true after killAtMs, when SIGKILL was sent. */
  | {
      readonly tag: 'stopping'
      readonly pid: number
      readonly killAtMs: number
      readonly killed: boolean
      readonly thenStart: boolean
    }
  | { readonly tag: 'backing-off'; readonly startAtMs: number; readonly exit: Exit }
  | { readonly tag: 'exited'; readonly exit: Exit }

export type Event =
  | { readonly tag: 'spawned'; readonly pid: number; readonly atMs: number }
  /** The process is asked to stop. With `thenStart` this is a restart: the process starts again after it has ended. */
  | { readonly tag: 'stopAsked'; readonly killAtMs: number; readonly thenStart: boolean }
  /** The time of killAtMs has come. */
  | { readonly tag: 'killDue' }
  /** The process ended. `startAtMs` is set if its restart policy starts it again. */
  | { readonly tag: 'ended'; readonly exit: Exit; readonly startAtMs?: number }
  /** The pause before a restart is over, or a request starts the process. */
  | { readonly tag: 'startAsked' }

/**
 * Returns the state after an event, or the same object if the event has no effect in this state. Pure: no clock, no I/O. The
 * table in test/supervisor/process-state.test.ts is the specification.
 */
export function next(state: State, event: Event): State {
  switch (event.tag) {
    case 'spawned':
      return state.tag === 'starting' ? { tag: 'running', pid: event.pid, sinceMs: event.atMs } : state
    case 'stopAsked':
      return onStopAsked(state, event)
    case 'killDue':
      return state.tag === 'stopping' && !state.killed ? { ...state, killed: true } : state
    case 'ended':
      return onEnded(state, event)
    case 'startAsked':
      return state.tag === 'backing-off' || state.tag === 'exited' ? { tag: 'starting' } : state
    default:
      throw new Error(`unhandled event ${event satisfies never}`)
  }
}

/** Returns the next timed event of a state, or undefined. The slot keeps one timer, for this event. */
export function timedEvent(state: State): { readonly atMs: number; readonly event: Event } | undefined {
  if (state.tag === 'stopping' && !state.killed) return { atMs: state.killAtMs, event: { tag: 'killDue' } }
  if (state.tag === 'backing-off') return { atMs: state.startAtMs, event: { tag: 'startAsked' } }
  return undefined
}

function onStopAsked(state: State, event: Extract<Event, { tag: 'stopAsked' }>): State {
  const { killAtMs, thenStart } = event
  if (state.tag === 'running') return { tag: 'stopping', pid: state.pid, killAtMs, killed: false, thenStart }
  // A second request never gives the process more time. If both a stop and a restart are requested, in either order, the process
  // stops.
  if (state.tag === 'stopping') {
    return { ...state, killAtMs: Math.min(killAtMs, state.killAtMs), thenStart: state.thenStart && thenStart }
  }
  if (state.tag === 'starting') return state
  if (thenStart) return { tag: 'starting' }
  return state.tag === 'backing-off' ? { tag: 'exited', exit: state.exit } : state
}

function onEnded(state: State, event: Extract<Event, { tag: 'ended' }>): State {
  if (state.tag === 'exited' || state.tag === 'backing-off') return state
  if (state.tag === 'stopping') return state.thenStart ? { tag: 'starting' } : { tag: 'exited', exit: event.exit }
  if (event.startAtMs === undefined) return { tag: 'exited', exit: event.exit }
  return { tag: 'backing-off', startAtMs: event.startAtMs, exit: event.exit }
}
