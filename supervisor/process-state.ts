/** How a process ended. */
export type Exit = { readonly code: number } | { readonly signal: NodeJS.Signals }

export type State =
  | { readonly tag: 'starting' }
  | { readonly tag: 'running'; readonly pid: number; readonly sinceMs: number }
  | { readonly tag: 'stopping'; readonly pid: number; readonly killAtMs: number; readonly thenStart: boolean }
  | { readonly tag: 'backing-off'; readonly startAtMs: number; readonly exit: Exit }
  | { readonly tag: 'exited'; readonly exit: Exit }

export type Event =
  | { readonly tag: 'spawned'; readonly pid: number; readonly atMs: number }
  /** Ask to stop; with `thenStart` to be started again afterwards (`restart`). */
  | { readonly tag: 'stopAsked'; readonly killAtMs: number; readonly thenStart: boolean }
  /** The process ended; with `startAtMs` its restart policy wants it back then. */
  | { readonly tag: 'ended'; readonly exit: Exit; readonly startAtMs?: number }
  /** The pause of a back-off is over, or somebody asked for the process by name. */
  | { readonly tag: 'startAsked' }

/** Pure: no clock, no signals, no I/O. The table in test/supervisor/process-state.test.ts is its specification. */
export function next(state: State, event: Event): State {
  switch (event.tag) {
    case 'spawned':
      return state.tag === 'starting' ? { tag: 'running', pid: event.pid, sinceMs: event.atMs } : state
    case 'stopAsked':
      return onStopAsked(state, event)
    case 'ended':
      return onEnded(state, event)
    case 'startAsked':
      return state.tag === 'backing-off' || state.tag === 'exited' ? { tag: 'starting' } : state
    default:
      throw new Error(`unhandled event ${event satisfies never}`)
  }
}

function onStopAsked(state: State, event: Extract<Event, { tag: 'stopAsked' }>): State {
  const { killAtMs, thenStart } = event
  if (state.tag === 'running') return { tag: 'stopping', pid: state.pid, killAtMs, thenStart }
  // Asking again never gives more time, and whoever wants the process gone for good wins over whoever wants it back.
  if (state.tag === 'stopping') {
    return { ...state, killAtMs: Math.min(killAtMs, state.killAtMs), thenStart: state.thenStart && thenStart }
  }
  if (state.tag === 'backing-off') return thenStart ? { tag: 'starting' } : { tag: 'exited', exit: state.exit }
  return state
}

function onEnded(state: State, event: Extract<Event, { tag: 'ended' }>): State {
  if (state.tag === 'exited' || state.tag === 'backing-off') return state
  if (state.tag === 'stopping') return state.thenStart ? { tag: 'starting' } : { tag: 'exited', exit: event.exit }
  if (event.startAtMs === undefined) return { tag: 'exited', exit: event.exit }
  return { tag: 'backing-off', startAtMs: event.startAtMs, exit: event.exit }
}
