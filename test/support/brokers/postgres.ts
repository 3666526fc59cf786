import type { Broker } from '../../../src/broker/broker.ts'
import { createPostgresBroker } from '../../../src/broker/postgres/broker.ts'
import type { Database } from '../../../src/database/database.ts'
import { silentLog } from '../../../src/log.ts'
import { createTestSchema } from '../database.ts'
import type { BrokerFixture } from './fixture.ts'
import { recordedIn } from './recorded.ts'

export async function createPostgresFixture(): Promise<BrokerFixture> {
  const schema = await createTestSchema()
  const reader = schema.open()
  const databases = new Map<Broker, Database>()
  return {
    database: reader,
    async open() {
      const database = schema.open()
      const broker = createPostgresBroker(database, schema.config, silentLog())
      databases.set(broker, database)
      return broker
    },
    ...recordedIn(reader),
    cut: async (broker) => databases.get(broker)?.close(),
    close: () => schema.drop(),
  }
}
