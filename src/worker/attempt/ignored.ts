import type { Sequel } from '../../app/sequel.ts'
import { UNIQUE } from '../../message/marks.ts'
import type { Attempt } from './attempt.ts'
import { encodeThrown } from './exception.ts'
import { workflowOf } from './workflow.ts'

/**
 * What follows from a task that wished to be ignored: it is forgotten that it ran, its key is free, and a chord that waits for it, or for the
 * rest of its chain, is over. Also for one that ends at once: it may have run before, and been handed back.
 */
export function ignoredSequel(
  { body, context, delivery }: Attempt,
  thrown: unknown,
  report?: (error: unknown, part: string) => void,
): Sequel {
  context?.endReport()
  const { chain = null, chord = null } = body?.embed ?? {}
  const { countsForChord, alike } = workflowOf(delivery, { chain, chord }, { state: 'FAILURE' }, { report }) ?? {}
  const waitedFor = alike?.filter((other) => other.countsForChord)
  const releasesUnique = delivery.message.headers[UNIQUE] === undefined ? undefined : true
  const ignored = JSON.stringify(encodeThrown(thrown).exception)
  return { countsForChord, alike: waitedFor, ignored, releasesUnique }
}
