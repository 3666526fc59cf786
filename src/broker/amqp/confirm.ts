import type { ConsumeMessage } from 'amqplib'
import type { Effects } from '../../app/effects.ts'
import type { Outcome } from '../../app/outcome.ts'
import type { Message } from '../../message/message.ts'
import type { RemoteSettlement } from '../outcomes/recorder.ts'
import type { AmqpAcks } from './acks.ts'
import type { AmqpHeld } from './held.ts'
import type { AmqpSending } from './sending.ts'

/** What is to be stored, and then acknowledged. */
export interface AmqpSettlement extends RemoteSettlement {
  /** undefined: it only began. */
  readonly delivery: AmqpHeld | undefined
  readonly rejected: boolean
}

/** What comes after an outcome is stored: whoever waits for it is told, and its message is acknowledged. */
export interface AmqpConfirmations {
  /** Does a client wait for a reply? */
  isAnswered(message: Message): boolean
  /** Whoever waits for the end of a chain that failed waits for another id (of `unreachable`), in the same place. */
  answer(message: Message, outcome: Outcome, unreachable?: readonly Outcome[]): void
  /** @param alsoStored what was stored with the batch without being in it */
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

/** The rest of a chain, which ended with this task. */
function shared(effects: Effects | undefined, alsoStored: readonly Outcome[]): readonly Outcome[] {
  const unreachable = effects?.unreachable
  return unreachable === undefined ? [] : alsoStored.filter(({ id }) => unreachable.some((each) => each.id === id))
}

/** The reply that a Celery client with the backend rpc:// waits for (docs/internals/wire-protocol.md). `result` is JSON text already. */
const replyBody = ({ id, state, result, traceback }: Outcome): string =>
  `{"task_id": ${JSON.stringify(id)}, "status": "${state}", "result": ${result ?? 'null'}, "traceback": ${JSON.stringify(traceback)}, "children": []}`

/** Processes of this application (`replyAddress`) read results from the database and need no reply. */
const isAnswered = ({ properties }: Message, ownAddress: string): boolean =>
  properties.reply_to !== undefined && properties.reply_to !== ownAddress
