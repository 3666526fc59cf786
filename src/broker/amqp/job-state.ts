/** The state of one message on its way to RabbitMQ. */
export type JobState =
  /**
   * The message waits for its next attempt. `maybeTaken`: an earlier attempt left this process, so the server may have the
   * message.
   */
  | { readonly tag: 'waiting'; readonly maybeTaken: boolean }
  /**
   * The message was written to a channel, and the server has not answered yet. `returned`: the server found no queue for it
   * (basic.return).
   */
  | { readonly tag: 'unconfirmed'; readonly returned: boolean }
  | JobEnd

/** How publishing a message ended. */
export type JobEnd =
  | { readonly tag: 'confirmed' }
  /** The server refuses the queue of the message now, and the sender asked not to wait for the queue. */
  | { readonly tag: 'putOff'; readonly reason: string }
  /** AMQP cannot carry the message: every attempt fails. */
  | { readonly tag: 'refused'; readonly reason: Error }
  /** The sender stopped waiting. */
  | { readonly tag: 'abandoned' }

export type JobEvent =
  /** The channel has written the message to the socket. */
  | { readonly tag: 'written' }
  /** basic.return: an answer to a mandatory message whose queue does not exist. An acknowledgement follows. */
  | { readonly tag: 'returned' }
  /** basic.ack: the server has taken the message. */
  | { readonly tag: 'acked' }
  /**
   * The server refuses to declare the queue, or answered basic.nack. `wait`: the sender waits until the queue takes the message.
   */
  | { readonly tag: 'queueRefused'; readonly reason: string; readonly wait: boolean }
  /** amqplib cannot encode the message. Nothing was written. */
  | { readonly tag: 'unencodable'; readonly error: Error }
  /** The channel closed before an answer arrived. */
  | { readonly tag: 'channelClosed' }
  /** The sender stops waiting. */
  | { readonly tag: 'abandoned' }

// HOT: states and events without data are constants, so that no objects are allocated for a message.
export const WAITING: JobState = { tag: 'waiting', maybeTaken: false }
const WAITING_MAYBE_TAKEN: JobState = { tag: 'waiting', maybeTaken: true }
const UNCONFIRMED: JobState = { tag: 'unconfirmed', returned: false }
const RETURNED_UNCONFIRMED: JobState = { tag: 'unconfirmed', returned: true }
const CONFIRMED: JobState = { tag: 'confirmed' }
const GIVEN_UP: JobState = { tag: 'abandoned' }
export const WRITTEN: JobEvent = { tag: 'written' }
export const RETURNED: JobEvent = { tag: 'returned' }
export const ACKED: JobEvent = { tag: 'acked' }
export const CHANNEL_CLOSED: JobEvent = { tag: 'channelClosed' }
export const ABANDONED: JobEvent = { tag: 'abandoned' }

/**
 * Returns the state after an event. Pure; the table in test/src/broker/amqp/job-state.test.ts is the specification. HOT: called
 * twice for each message.
 */
export function next(state: JobState, event: JobEvent): JobState {
  if (state.tag === 'waiting') return nextOfWaiting(state, event)
  if (state.tag === 'unconfirmed') return nextOfUnconfirmed(state, event)
  return state
}

function nextOfWaiting(state: JobState, event: JobEvent): JobState {
  switch (event.tag) {
    case 'written':
      return UNCONFIRMED
    case 'queueRefused':
      return event.wait ? state : { tag: 'putOff', reason: event.reason }
    case 'unencodable':
      return { tag: 'refused', reason: event.error }
    case 'abandoned':
      return GIVEN_UP
    case 'returned':
    case 'acked':
    case 'channelClosed':
      return state
    default:
      return event satisfies never
  }
}

function nextOfUnconfirmed(state: Extract<JobState, { tag: 'unconfirmed' }>, event: JobEvent): JobState {
  switch (event.tag) {
    case 'returned':
      return RETURNED_UNCONFIRMED
    case 'acked':
      return state.returned ? WAITING_MAYBE_TAKEN : CONFIRMED
    case 'queueRefused':
      return state.returned || event.wait ? WAITING_MAYBE_TAKEN : { tag: 'putOff', reason: event.reason }
    case 'channelClosed':
      return WAITING_MAYBE_TAKEN
    case 'abandoned':
      return GIVEN_UP
    case 'written':
    case 'unencodable':
      return state
    default:
      return event satisfies never
  }
}

export const isEnd = (state: JobState): state is JobEnd => state.tag !== 'waiting' && state.tag !== 'unconfirmed'

/** Returns true if the message left this process and was not confirmed, so that the server may have it. */
export const isMaybeTaken = (state: JobState): boolean =>
  state.tag === 'unconfirmed' || (state.tag === 'waiting' && state.maybeTaken)
