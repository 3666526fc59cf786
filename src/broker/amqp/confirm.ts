import type { ConsumeMessage } from 'amqplib'
import type { Effects } from '../../app/effects.ts'
import type { Outcome } from '../../app/outcome.ts'
import type { Message } from '../../message/message.ts'
import type { RemoteSettlement } from '../outcomes/recorder.ts'
import type { AmqpAcks } from './acks.ts'
import type { AmqpHeld } from './held.ts'
import type { AmqpSending } from './sending.ts'

/** An outcome to store, and the message to acknowledge after it is stored. */
export interface AmqpSettlement extends RemoteSettlement {
  /** The delivery to acknowledge. undefined for STARTED, which acknowledges no message. */
  readonly delivery: AmqpHeld | undefined
  readonly rejected: boolean
}

/** The last steps after an outcome is stored: replies to clients, and the acknowledgement of the message. */
export interface AmqpConfirmations {
  /** Returns true if a client waits for a reply. */
  isAnswered(message: Message): boolean
  /**
   * Replies with the outcome, and with the outcomes of `unreachable` tasks, because a client of a failed chain waits for the id
   * of its last task.
   */
  answer(message: Message, outcome: Outcome, unreachable?: readonly Outcome[]): void
  /**
   * Sends the replies of a stored batch and acknowledges its messages.
   * @param alsoStored outcomes of other tasks that the same commit stored
   */
  confirm(batch: readonly AmqpSettlement[], alsoStored: readonly Outcome[]): void
}

export function createAmqpConfirmations(publisher: Pick<AmqpSending, 'reply'>, ownAddress: string): AmqpConfirmations {
  const answer = (message: Message, outcome: Outcome, unreachable: readonly Outcome[] = []) => {
    if (!isAnswered(message, ownAddress)) return
    const { reply_to = '', correlation_id = outcome.id } = message.properties
    publisher.reply(reply_to, correlation_id, replyBody(outcome))
    for (const other of unreachable) publisher.reply(reply_to, other.id, replyBody(other))
  }

  return {
    isAnswered: (message) => isAnswered(message, ownAddress),
    answer,
    confirm(batch, alsoStored) {
      const settled = new Map<AmqpAcks, ConsumeMessage[]>()
      for (const { delivery, outcome, rejected, effects } of batch) {
        if (delivery === undefined) continue
        const { tag, message } = delivery
        if (outcome !== null) answer(message, outcome, shared(effects, alsoStored))
        if (rejected) tag.acks.reject(tag.raw, { requeue: false })
        else if (settled.has(tag.acks)) settled.get(tag.acks)?.push(tag.raw)
        else settled.set(tag.acks, [tag.raw])
      }
      for (const [each, messages] of settled) each.ack(messages)
    },
  }
}

/** Returns the stored outcomes of the remaining tasks of a chain, which can no longer run. */
function shared(effects: Effects | undefined, alsoStored: readonly Outcome[]): readonly Outcome[] {
  const unreachable = effects?.unreachable
  return unreachable === undefined ? [] : alsoStored.filter(({ id }) => unreachable.some((each) => each.id === id))
}

/**
 * Returns the body of the reply that a Celery client with the backend rpc:// waits for (docs/internals/wire-protocol.md).
 * `result` is already JSON text.
 */
const replyBody = ({ id, state, result, traceback }: Outcome): string =>
  `{"task_id": ${JSON.stringify(id)}, "status": "${state}", "result": ${result ?? 'null'}, "traceback": ${JSON.stringify(traceback)}, "children": []}`

/**
 * Returns true if another application waits for a reply. Processes of this application (`replyAddress`) read results from the
 * database.
 */
const isAnswered = ({ properties }: Message, ownAddress: string): boolean =>
  properties.reply_to !== undefined && properties.reply_to !== ownAddress
