import { v5 } from 'uuid'

/**
 * Returns the id of the task that a tick queues: a UUIDv5 of schedule and tick. Every host computes the same id, so a broker or
 * worker recognises a duplicate by its id.
 * @param scheduleId a UUID; any other text throws a TypeError
 */
export const tickTaskId = (scheduleId: string, tick: Date): string => v5(tick.toISOString(), scheduleId)
