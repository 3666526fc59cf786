/**
 * The connection to the server that delivers messages. `in-doubt`: a request failed, so the server and this process may disagree
 * about the held messages. `recovering`: the consumer reconciles its held messages with the server; a failure during this leads
 * back to `in-doubt`.
 */
export type Link = 'sound' | 'in-doubt' | 'recovering'

/** The life of a consumer. Only a running consumer claims messages. A closed consumer writes nothing. */
export type ConsumerState =
  | { readonly phase: 'registering'; readonly link: Link }
  /** `mayHoldMore`: the queues may hold messages. True after each signal, false from a claim until the next signal. */
  | { readonly phase: 'running'; readonly link: Link; readonly mayHoldMore: boolean }
  /** `stopping`: tasks go on and their outcomes are written. `flushing`: the last outcomes are written. */
  | { readonly phase: 'stopping' | 'flushing'; readonly link: Link }
  | { readonly phase: 'closed' }

export type ConsumerEvent =
  | 'registered'
  | 'messages-signalled'
  | 'claim-sent'
  | 'link-failed'
  | 'recovery-started'
  | 'recovered'
  | 'stop-requested'
  | 'close-requested'
  | 'closed'

/** Returns the same object when nothing changes, so that a frequent signal allocates nothing. */
export function next(state: ConsumerState, event: ConsumerEvent): ConsumerState {
  if (state.phase === 'closed') return state
  switch (event) {
    case 'registered':
      return state.phase === 'registering' ? { phase: 'running', link: state.link, mayHoldMore: true } : state
    case 'messages-signalled':
      return withHint(state, true)
    case 'claim-sent':
      return withHint(state, false)
    case 'link-failed':
      return withLink(state, 'in-doubt')
    case 'recovery-started':
      return withLink(state, 'recovering')
    case 'recovered':
      // After a failure during the recovery another recovery is needed. Messages that the recovery requeued can be claimed
      // again.
      return withHint(state.link === 'recovering' ? withLink(state, 'sound') : state, true)
    case 'stop-requested':
      return state.phase === 'flushing' || state.phase === 'stopping' ? state : { phase: 'stopping', link: state.link }
    case 'close-requested':
      return state.phase === 'flushing' ? state : { phase: 'flushing', link: state.link }
    case 'closed':
      return { phase: 'closed' }
    default:
      return event satisfies never
  }
}

type OpenState = Exclude<ConsumerState, { phase: 'closed' }>

function withHint(state: OpenState, mayHoldMore: boolean): OpenState {
  return state.phase === 'running' && state.mayHoldMore !== mayHoldMore ? { ...state, mayHoldMore } : state
}

function withLink(state: OpenState, link: Link): OpenState {
  return state.link === link ? state : { ...state, link }
}

/** The state of one consumer, and the conditions on it that the parts of the consumer check. */
export interface LifeCycle {
  readonly state: ConsumerState
  send(event: ConsumerEvent): void
  /** Registered and not closed: the consumer may write. */
  readonly isOpen: boolean
  /** Stopped or closed: the consumer claims no more messages. */
  readonly isStopped: boolean
  /** The server and this consumer may disagree about the held messages. */
  readonly isInDoubt: boolean
  /** The consumer runs, and its queues may hold messages. */
  readonly mayClaim: boolean
  /** Aborts when the consumer is closed. */
  readonly closed: AbortSignal
}

/** @param link `in-doubt` for a consumer that has to connect first */
export function createLifeCycle(link: Link = 'sound'): LifeCycle {
  const closing = new AbortController()
  let state: ConsumerState = { phase: 'registering', link }
  return {
    get state() {
      return state
    },
    send(event) {
      state = next(state, event)
      if (state.phase === 'closed') closing.abort()
    },
    get isOpen() {
      return state.phase !== 'registering' && state.phase !== 'closed'
    },
    get isStopped() {
      return state.phase !== 'registering' && state.phase !== 'running'
    },
    get isInDoubt() {
      return state.phase !== 'closed' && state.link !== 'sound'
    },
    get mayClaim() {
      return state.phase === 'running' && state.mayHoldMore
    },
    closed: closing.signal,
  }
}
