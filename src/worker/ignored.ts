import type { Sequel } from '../app/sequel.ts'
import { UNIQUE } from '../message/marks.ts'
import type { Attempt } from './attempt.ts'
import { encodeThrown } from './exception.ts'
import { workflowOf } from './workflow.ts'

/** Nothing of a shorter first attempt is stored (run-attempt.ts, run-report.ts). Milliseconds. */
const UNSEEN_MS = 90

/**
 * What follows from a task that wished to be ignored: its key is free, and a chord that waits for it, or for the rest of its chain, is over.
 * undefined: nothing, as for most.
 */
export function ignoredSequel(
  { body, context, delivery, startedAt }: Attempt,
  thrown: unknown,
  report?: (error: unknown, part: string) => void,
): Sequel | undefined {
  context?.endReport()
  const { chain = null, chord = null } = body?.embed ?? {}
  const { countsForChord, alike } = workflowOf(delivery, { chain, chord }, { state: 'FAILURE' }, { report }) ?? {}
  const waitedFor = alike?.filter((other) => other.countsForChord)
  const releasesUnique = delivery.message.headers[UNIQUE] === undefined ? undefined : true
  const isInChord = countsForChord !== undefined || (waitedFor?.length ?? 0) > 0
  const wasSeen = Date.now() - startedAt >= UNSEEN_MS || (context?.retries ?? 0) > 0
  const ignored = isInChord || wasSeen ? JSON.stringify(encodeThrown(thrown).exception) : undefined
  if (ignored === undefined && releasesUnique === undefined) return undefined
  return { countsForChord, alike: waitedFor, ignored, releasesUnique }
}
