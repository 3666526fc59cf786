import { v5 } from 'uuid'

/**
 * The id of the task that a tick queues: a UUIDv5 of schedule and tick, the same wherever and however often it is computed, so a
 * duplicate further down the line has the same id and is recognised.
 * @param scheduleId a UUID; anything else is a bug (TypeError)
 */
export const tickTaskId = (scheduleId: string, tick: Date): string => v5(tick.toISOString(), scheduleId)

/**
 * How long after its ticks a schedule's messages become available, in milliseconds, in [0, jitterSeconds): a stable place for each
 * schedule, so that many of the same minute do not start together. The tick itself, and so its id, does not move.
 */
export const jitterMs = (scheduleId: string, jitterSeconds: number): number =>
  jitterSeconds <= 0 ? 0 : Number.parseInt(v5('jitter', scheduleId).slice(0, 8), 16) % (jitterSeconds * 1000)
