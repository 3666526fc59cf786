import { type ConsumerEvent, type ConsumerState, type Link, next } from './state.ts'

/** The state of one consumer, with the conditions that its parts check. */
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
