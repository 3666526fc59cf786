import type { Message } from '../../message/message.ts'
import type { Signature } from '../../message/signature.ts'
import type { ChordPlan, GroupPlan, Plan } from '../effects.ts'
import { type Frozen, type FrozenChord, type FrozenGroup, signatureOf } from './freeze.ts'
import { type MessageContext, messageOf } from './signature-message.ts'

export interface BeginContext extends MessageContext {
  /** Plans a chord's body without waiting for a header that has no members. */
  readonly planBody: (body: Signature) => Plan
}

/** What is sent first of a frozen tree: the first task of a chain, every member of a group or header, and all of it that is nested in these. */
export function begin(frozen: Frozen, context: BeginContext): Plan {
  const messages: Message[] = []
  const chords: ChordPlan[] = []
  const groups: GroupPlan[] = []

  const beginAny = (step: Frozen, next: readonly Frozen[] = []): void => {
    if (step.kind === 'task') messages.push(messageOf(step.signature, next.map(signatureOf), context))
    else if (step.kind === 'chain') beginAny(step.steps[0]!, step.steps.slice(1))
    else if (step.kind === 'group') beginGroup(step)
    else beginChord(step)
  }

  const beginGroup = ({ id, members, leaves, nested }: FrozenGroup): void => {
    if (!nested) groups.push({ id, members: leaves.map((leaf) => leaf.id) })
    for (const member of members) beginAny(member)
  }

  const beginChord = ({ header, body }: FrozenChord): void => {
    beginGroup(header)
    const members = header.leaves.map(({ id }) => id)
    if (members.length > 0) {
      chords.push({ id: header.id, members, body: signatureOf(body), rootId: context.rootId ?? null })
      return
    }
    const planned = context.planBody(signatureOf(body))
    messages.push(...planned.messages)
    chords.push(...planned.chords)
    groups.push(...planned.groups)
  }

  beginAny(frozen)
  return { messages, chords, groups }
}
