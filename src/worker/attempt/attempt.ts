import type { Effects } from '../../app/effects.ts'
import type { State } from '../../app/outcome.ts'
import type { Delivery } from '../../broker/broker.ts'
import type { Body } from '../../message/message.ts'
import type { RunContext } from './context.ts'
import type { TaskOptionsHere } from './effective-options.ts'
import type { TaskRun } from './ports.ts'

/** How an attempt ended. The state of the attempt from then until its slot is free. */
export interface Ending {
  readonly tag: 'ending'
  readonly state: State
  /** JSON: the value or the exception. */
  readonly result: string
  readonly traceback: string | null
  /** The value that the task returned, or the exception as it is encoded. */
  readonly value: unknown
  /** The error that the task threw. */
  readonly error: unknown
  /** Milliseconds since the epoch. null: the task never ran. */
  readonly startedAt: number | null
  /** Milliseconds since the epoch. */
  readonly endedAt: number
  readonly retry: Effects['retry']
  /** Why the message is also kept in `dead_letter`. undefined: it is not kept. */
  readonly deadLetter: string | undefined
}

export type AttemptState =
  /** The attempt waits for its turn, or its code runs. */
  | { readonly tag: 'open' }
  /** The ending is decided and `after` hooks may still run. The result of the code is ignored from here on. */
  | Ending
  /** The slot is free. The outcome is handed to the broker, or the message is requeued. */
  | { readonly tag: 'over' }

export type AttemptEvent =
  /** From the code, a time limit, a revoke, a refusal or the end of the worker. */
  | Ending
  /** The outcome was handed to the broker, or the message needs none. */
  | { readonly tag: 'released' }

export const OPEN: AttemptState = Object.freeze({ tag: 'open' })
const OVER: AttemptState = Object.freeze({ tag: 'over' })
export const RELEASED: AttemptEvent = Object.freeze({ tag: 'released' })

/** Pure. The first ending wins and the release is final. HOT: allocates nothing, because an ending is both event and state. */
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

/** One attempt of one message, from claiming it to its outcome. Only its executor writes to it. */
export interface Attempt {
  readonly delivery: Delivery
  /** Created when it is first read. */
  readonly controller: AbortController
  /** Milliseconds since the epoch. */
  readonly startedAt: number
  /** Called once, when the slot is free. `requeued`: the broker has the message again, so duplicates must be requeued too. */
  readonly onEnd: (attempt: Attempt, requeued: boolean) => void
  state: AttemptState
  /** Options of its task. undefined until the message is admitted. */
  options: TaskOptionsHere | undefined
  /** `body`, `context` and `run` are set when the code starts. */
  body: Body | undefined
  context: RunContext | undefined
  run: TaskRun | undefined
  /** Timers of the soft limit, the hard limit and the grace period after a revoke. undefined for most attempts: none. */
  timers: NodeJS.Timeout[] | undefined
}

/** Is the ending still undecided? */
export const isOpen = ({ state }: Attempt): boolean => state.tag === 'open'
export const isOver = ({ state }: Attempt): boolean => state.tag === 'over'

/** @param startedAt milliseconds since the epoch */
export const createAttempt = (delivery: Delivery, onEnd: Attempt['onEnd'], startedAt: number = Date.now()): Attempt =>
  new PlainAttempt(delivery, onEnd, startedAt)

/** HOT. A class because of one getter: an AbortController costs more than the rest of an attempt, and few tasks read their signal. */
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
