import type { Outcome } from '../../app/outcome.ts'
import type { Message } from '../../message/message.ts'
import { parseJson } from '../../message/python-json.ts'
import type { Signature } from '../../message/signature.ts'

/** A member of a chord that has ended. */
export interface ChordPart {
  readonly id: string
  readonly group: string
  /** The position of its result in the list of results. undefined: not known. */
  readonly index: number | undefined
  readonly body: Signature
}

/**
 * Returns the members of chords that ended with this message: the task itself and, if it did not succeed, the later steps of its
 * chain (docs/internals/wire-protocol.md). HOT: most messages belong to no chord and are not parsed.
 */
export function partsOf(message: Message, { id, state }: Pick<Outcome, 'id' | 'state'>): readonly ChordPart[] {
  if (!/"chord":\s*\{/.test(message.body)) return []
  const { group, group_index } = message.headers
  const embed = embedOf(message)
  const own = partOf({ task_id: id, group_id: group, group_index, chord: embed.chord })
  const rest = state === 'SUCCESS' || !Array.isArray(embed.chain) ? [] : embed.chain.map((step) => partOf(step?.options))
  return [own, ...rest].filter((part) => part !== undefined)
}

/**
 * Reads the options of a signature, which any client may have written.
 * @returns undefined if the signature is not a member of a chord
 */
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

/** Returns the embed of a message of protocol 1 or 2; an empty embed if the body is unreadable. */
function embedOf({ body }: Message): LooseEmbed {
  try {
    const value = parseJson(body, 'any') as unknown
    return ((Array.isArray(value) ? value[2] : value) ?? {}) as LooseEmbed
  } catch {
    return {}
  }
}
