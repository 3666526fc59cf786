import type { Config } from '../../config.ts'
import type { Log } from '../../log.ts'
import type { Message } from '../../message/message.ts'
import type { BeforeSending } from '../broker.ts'
import { createCircuit } from '../circuit.ts'
import type { AmqpCollect } from './collect.ts'
import type { AmqpConnection } from './connection.ts'
import { createAmqpPublisher } from './publisher.ts'
import type { AmqpSending, SendOptions, Unconfirmed } from './sending.ts'
import type { AmqpTopology } from './topology.ts'

/** Sends messages, and decides how long a call waits for RabbitMQ. */
export interface AmqpOutgoing extends Pick<AmqpSending, 'reply'> {
  /**
   * Sends messages. `patient`: waits for the whole timeout, unless RabbitMQ is known to be away. Without `patient`, a call
   * during an outage does not wait, because an earlier call has already waited.
   * @returns the messages that were not confirmed in time
   */
  send(messages: readonly Message[], how?: SendOptions & { readonly patient?: boolean }): Promise<Unconfirmed[]>
}

export interface AmqpOutgoingParts {
  readonly connection: AmqpConnection
  readonly topology: AmqpTopology
  readonly config: Pick<Config, 'publishTimeoutMs'>
  readonly log: Log
  /** Collects the results of the messages. undefined: results are not collected. */
  readonly collect: AmqpCollect | undefined
  readonly beforeSending: BeforeSending | undefined
}

export function createAmqpOutgoing(parts: AmqpOutgoingParts): AmqpOutgoing {
  const { connection, topology, log, collect } = parts
  const { publishTimeoutMs } = parts.config
  const circuit = createCircuit({
    timeoutMs: publishTimeoutMs,
    onOpen: () => publisher.giveUp(),
    onClose: () => log.info('RabbitMQ confirms again, messages go straight to it'),
  })
  const publisher = createAmqpPublisher({
    connection,
    topology,
    log,
    beforeSending: collect?.ready,
    onAnswer: circuit.heard,
  })
  connection.onChange(() => {
    if (!isAway(connection)) circuit.tryAgain()
  })

  /** Adds the address for the results to the messages. */
  const addressed = async (messages: readonly Message[]): Promise<readonly Message[]> => {
    if (collect === undefined) return messages
    await parts.beforeSending?.(messages)
    return collect.addressed(messages, publishTimeoutMs)
  }

  const timeoutMs = (patient: boolean): number => {
    const awaySince = connection.awaySince ?? connection.blockedSince
    if (awaySince !== undefined && (circuit.isOpen || performance.now() - awaySince > publishTimeoutMs)) return 0
    return patient ? publishTimeoutMs : circuit.waitMs()
  }

  return {
    reply: publisher.reply,
    async send(messages, how = {}) {
      const waitMs = timeoutMs(how.patient === true)
      const outgoing = await addressed(messages)
      const since = performance.now()
      const left = await publisher.send(outgoing, waitMs, how)
      if (waitMs > 0 && left.some(({ refused, putOff }) => refused === undefined && putOff === undefined))
        circuit.unanswered(since)
      return left
    },
  }
}

const isAway = ({ awaySince, blockedSince }: AmqpConnection) => awaySince !== undefined || blockedSince !== undefined
