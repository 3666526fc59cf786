import type { Broker } from '../broker/broker.ts'
import type { AskedDepth } from '../web/web-context.ts'

/** For people, to whom 0 must not be told where nobody knows. */
export const knownDepths =
  ({ kind, depths }: Pick<Broker, 'kind' | 'depths'>) =>
  async (queues: readonly string[]): Promise<AskedDepth[]> =>
    (await depths(queues)).map((depth) => (kind === 'amqp' ? { ...depth, running: undefined } : depth))
