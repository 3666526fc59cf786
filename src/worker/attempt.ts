import type { Delivery } from '../broker/broker.ts'
import type { Body } from '../message/message.ts'
import type { RunContext } from './context.ts'
import type { Ending } from './ending.ts'
import type { TaskRun } from './ports.ts'
import type { TaskSettings } from './settings.ts'

/** One attempt of one message, from taking it to its outcome. Its executor alone writes to it. */
export interface Attempt {
  readonly delivery: Delivery
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
  /** STARTED, the soft limit, the hard limit, the end of patience after a revoke. */
  readonly timers: NodeJS.Timeout[]
}

export const createAttempt = (delivery: Delivery, onEnd: Attempt['onEnd']): Attempt => ({
  delivery,
  controller: new AbortController(),
  startedAt: Date.now(),
  onEnd,
  settings: undefined,
  body: undefined,
  context: undefined,
  run: undefined,
  ending: undefined,
  over: false,
  timers: [],
})
