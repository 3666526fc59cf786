import type { Broker } from '../broker/broker.ts'
import type { AskedDepth } from '../web/web-context.ts'

/** Returns the depths to show to people: a depth that is not known is left out, not shown as 0. */
export const knownDepths =
  ({ kind, depths }: Pick<Broker, 'kind' | 'depths'>) =>
  async (queues: readonly string[]): Promise<AskedDepth[]> =>
    (await depths(queues)).map((depth) => (kind === 'amqp' ? { ...depth, running: undefined } : depth))
