import type { Delivery } from '../../broker/broker.ts'
import type { Body } from '../../message/message.ts'
import type { RunContext } from './context.ts'
import type { TaskSettings } from './effective-options.ts'
import type { Ending } from './ending.ts'
import type { TaskRun } from './ports.ts'

/** One attempt of one message, from taking it to its outcome. Its executor alone writes to it. */
export interface Attempt {
  readonly delivery: Delivery
  /** Made when somebody first asks for it. */
  readonly controller: AbortController
  /** Milliseconds since the epoch. */
  readonly startedAt: number
  /** Called once, when the slot is free. `handedBack`: the message is the broker's again, and so are others with its id. */
  readonly onEnd: (attempt: Attempt, handedBack: boolean) => void
  /** Of its task; undefined before it is known that the message can be run. */
  settings: TaskSettings | undefined
  /** Set when its code begins, with the two after it. */
  body: Body | undefined
  context: RunContext | undefined
  run: TaskRun | undefined
  /** Decided; what its code does from here on is ignored. */
  ending: Ending | undefined
  /** Recorded or handed back. */
  over: boolean
  /** The soft limit, the hard limit, the end of patience after a revoke; undefined: none, as with most. */
  timers: NodeJS.Timeout[] | undefined
}

/** @param startedAt milliseconds since the epoch */
export const createAttempt = (delivery: Delivery, onEnd: Attempt['onEnd'], startedAt: number = Date.now()): Attempt =>
  new PlainAttempt(delivery, onEnd, startedAt)

/** HOT. A class for the sake of one getter: a signal costs more than the rest of an attempt, and few look at theirs. */
class PlainAttempt implements Attempt {
  readonly delivery: Delivery
  readonly startedAt: number
  readonly onEnd: Attempt['onEnd']
  settings: TaskSettings | undefined = undefined
  body: Body | undefined = undefined
  context: RunContext | undefined = undefined
  run: TaskRun | undefined = undefined
  ending: Ending | undefined = undefined
  over = false
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
