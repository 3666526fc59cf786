import { lacks } from '../lacks.ts'
import { createAmqpFixture, dropSharedVhost } from './amqp.ts'
import type { BrokerUnderTest } from './fixture.ts'
import { createPostgresFixture } from './postgres.ts'
import { createRedisFixture } from './redis.ts'

/** Every implementation of `Broker`. A new one is added here, and the contract suites run against it. */
export const BROKERS: readonly BrokerUnderTest[] = [
  {
    name: 'PostgreSQL',
    isMissing: false,
    redeliveredWithinMs: 1000,
    isOutside: false,
    create: createPostgresFixture,
    closeAll: async () => {},
  },
  {
    name: 'RabbitMQ',
    isMissing: lacks('amqp'),
    redeliveredWithinMs: 1000,
    isOutside: true,
    create: createAmqpFixture,
    closeAll: dropSharedVhost,
  },
  {
    name: 'Redis',
    isMissing: lacks('redis'),
    redeliveredWithinMs: 10_000,
    isOutside: true,
    create: createRedisFixture,
    closeAll: async () => {},
  },
]
