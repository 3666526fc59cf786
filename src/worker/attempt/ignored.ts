import type { Effects } from '../../app/effects.ts'
import { UNIQUE } from '../../message/private-headers.ts'
import type { Attempt } from './attempt.ts'
import { encodeThrown } from './exception.ts'
import { workflowOf } from './workflow.ts'

/**
 * What follows from a task that wished to be ignored: it is forgotten that it ran, its key is free, and a chord that waits for it, or for the
 * rest of its chain, is over. Also for one that ends at once: it may have run before, and been handed back.
 */
export function ignoredEffects(
  { body, context, delivery }: Attempt,
  thrown: unknown,
  report?: (error: unknown, part: string) => void,
): Effects {
  context?.endReport()
  const { chain = null, chord = null } = body?.embed ?? {}
  const { countsForChord, unreachable } = workflowOf(delivery, { chain, chord }, { state: 'FAILURE' }, { report }) ?? {}
  const waitedFor = unreachable?.filter((other) => other.countsForChord)
  const releasesUnique = delivery.message.headers[UNIQUE] === undefined ? undefined : true
  const ignored = JSON.stringify(encodeThrown(thrown).exception)
  return { countsForChord, unreachable: waitedFor, ignored, releasesUnique }
}
