import type { Effects } from '../../app/effects.ts'
import type { State } from '../../app/outcome.ts'
import type { Delivery } from '../../broker/broker.ts'
import type { Body } from '../../message/message.ts'
import type { RunContext } from './context.ts'
import type { TaskOptionsHere } from './effective-options.ts'
import type { TaskRun } from './ports.ts'

/** How an attempt ended. It is the state of the attempt until its slot is free. */
export interface Ending {
  readonly tag: 'ending'
  readonly state: State
  /** The returned value, or the exception, as JSON. */
  readonly result: string
  readonly traceback: string | null
  /** The value that the task returned, or the encoded exception. */
  readonly value: unknown
  /** The error that the task threw. */
  readonly error: unknown
  /** Milliseconds since the epoch; null if the task never ran. */
  readonly startedAt: number | null
  /** Milliseconds since the epoch. */
  readonly endedAt: number
  readonly retry: Effects['retry']
  /** The reason why the message is also kept in `dead_letter`; undefined if it is not kept there. */
  readonly deadLetter: string | undefined
}

export type AttemptState =
  /** The attempt waits for its turn, or its code runs. */
  | { readonly tag: 'open' }
  /** The ending is decided. `after` hooks may still run. From now on the result of the code is ignored. */
  | Ending
  /** The slot is free. The outcome was handed to the broker, or the message was requeued. */
  | { readonly tag: 'over' }

export type AttemptEvent =
  /** The attempt ends because of its code, a time limit, a revoke, a refusal or the end of the worker. */
  | Ending
  /** The outcome was handed to the broker, or the message needs none. */
  | { readonly tag: 'released' }

export const OPEN: AttemptState = Object.freeze({ tag: 'open' })
const OVER: AttemptState = Object.freeze({ tag: 'over' })
export const RELEASED: AttemptEvent = Object.freeze({ tag: 'released' })

/**
 * Returns the next state. Pure. The first ending wins, and the state `over` is final. HOT: allocates nothing, because an ending
 * is both event and state.
 */
export function next(state: AttemptState, event: AttemptEvent): AttemptState {
  switch (event.tag) {
    case 'ending':
      return state.tag === 'open' ? event : state
    case 'released':
      return OVER
    default:
      throw new Error(`unhandled event ${event satisfies never}`)
  }
}

/** One attempt of one message, from the claim of the message to its outcome. Only the executor writes to it. */
export interface Attempt {
  readonly delivery: Delivery
  /** The controller is created when it is first read. */
  readonly controller: AbortController
  /** Milliseconds since the epoch. */
  readonly startedAt: number
  /**
   * Called once, when the slot is free. `requeued`: true if the broker has the message again, so that duplicates must be
   * requeued too.
   */
  readonly onEnd: (attempt: Attempt, requeued: boolean) => void
  state: AttemptState
  /** Options of the task; undefined until the message is admitted. */
  options: TaskOptionsHere | undefined
  /** `body`, `context` and `run` are set when the code starts. */
  body: Body | undefined
  context: RunContext | undefined
  run: TaskRun | undefined
  /**
   * Timers of the soft limit, the hard limit and the grace period after a revoke. undefined if there are none, as for most
   * attempts.
   */
  timers: NodeJS.Timeout[] | undefined
}

/** Returns true while the ending is undecided. */
export const isOpen = ({ state }: Attempt): boolean => state.tag === 'open'
export const isOver = ({ state }: Attempt): boolean => state.tag === 'over'

/** @param startedAt milliseconds since the epoch */
export const createAttempt = (delivery: Delivery, onEnd: Attempt['onEnd'], startedAt: number = Date.now()): Attempt =>
  new PlainAttempt(delivery, onEnd, startedAt)

/**
 * A class because of its getter for the controller: an AbortController costs more than the rest of an attempt, and few tasks
 * read their signal. HOT.
 */
class PlainAttempt implements Attempt {
  readonly delivery: Delivery
  readonly startedAt: number
  readonly onEnd: Attempt['onEnd']
  state = OPEN
  options: TaskOptionsHere | undefined = undefined
  body: Body | undefined = undefined
  context: RunContext | undefined = undefined
  run: TaskRun | undefined = undefined
  timers: NodeJS.Timeout[] | undefined = undefined
  #controller: AbortController | undefined = undefined

  constructor(delivery: Delivery, onEnd: Attempt['onEnd'], startedAt: number) {
    this.delivery = delivery
    this.startedAt = startedAt
    this.onEnd = onEnd
  }

  get controller(): AbortController {
    this.#controller ??= new AbortController()
    return this.#controller
  }
}

export function addTimer(attempt: Attempt, timer: NodeJS.Timeout): void {
  attempt.timers ??= []
  attempt.timers.push(timer)
}

export function clearTimers({ timers }: Attempt): void {
  if (timers !== undefined) for (const timer of timers) clearTimeout(timer)
}
