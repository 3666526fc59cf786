import { type ConsumerEvent, type ConsumerState, type Link, next } from './state.ts'

/** The state of one consumer and the questions that its parts ask about it. */
export interface LifeCycle {
  readonly state: ConsumerState
  send(event: ConsumerEvent): void
  /** Registered and not closed: may write. */
  readonly isOpen: boolean
  /** Asked to stop: claims nothing more. */
  readonly isStopped: boolean
  /** The server may not know what this consumer holds, or the other way round. */
  readonly isInDoubt: boolean
  /** Runs, and the queues may hold messages. */
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
