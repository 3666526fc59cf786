import type { Outcome } from '../../app/outcome.ts'
import type { Message } from '../../message/message.ts'
import { parseJson } from '../../message/python-json.ts'
import type { Signature } from '../../message/signature.ts'

/** A member of a chord that has ended. */
export interface ChordPart {
  readonly id: string
  readonly group: string
  /** Its place among the results. */
  readonly index: number | undefined
  readonly body: Signature
}

/**
 * Which members of chords ended with this message: the task itself, and the steps after it in its chain, if it did not succeed
 * (reference/celery-protocol.md §4.3). HOT: most messages belong to none, and need not be read for it.
 */
export function partsOf(message: Message, { id, state }: Pick<Outcome, 'id' | 'state'>): readonly ChordPart[] {
  if (!/"chord":\s*\{/.test(message.body)) return []
  const { group, group_index } = message.headers
  const embed = embedOf(message)
  const own = partOf({ task_id: id, group_id: group, group_index, chord: embed.chord })
  const rest = state === 'SUCCESS' || !Array.isArray(embed.chain) ? [] : embed.chain.map((step) => partOf(step?.options))
  return [own, ...rest].filter((part) => part !== undefined)
}

/** What comes from anybody: of the options of a signature. */
function partOf(options: unknown): ChordPart | undefined {
  const { task_id, group_id, group_index, chord } = (options ?? {}) as Record<string, unknown>
  if (typeof task_id !== 'string' || typeof group_id !== 'string' || typeof chord !== 'object' || chord === null) return undefined
  return {
    id: task_id,
    group: group_id,
    index: typeof group_index === 'number' ? group_index : undefined,
    body: chord as Signature,
  }
}

interface LooseEmbed {
  readonly chord?: unknown
  readonly chain?: unknown
}

/** Of either protocol; what cannot be read has none. */
function embedOf({ body }: Message): LooseEmbed {
  try {
    const value = parseJson(body, 'any') as unknown
    return ((Array.isArray(value) ? value[2] : value) ?? {}) as LooseEmbed
  } catch {
    return {}
  }
}
