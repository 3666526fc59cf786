import type { Broker } from '../../../src/broker/broker.ts'
import { createPostgresBroker } from '../../../src/broker/postgres/broker.ts'
import type { Database } from '../../../src/database/database.ts'
import { silentLog } from '../../../src/log.ts'
import { createTestSchema } from '../../support/database.ts'
import { recordedIn } from '../../support/recorded.ts'
import { brokerContract } from './contract.ts'
import { type EffectsFixture, effectsContract } from './effects-contract.ts'

const create = async (): Promise<EffectsFixture> => {
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
    async cut(broker) {
      // What the server sees of a kill -9: every connection of the process ends, and nothing is said before.
      await databases.get(broker)?.close()
    },
    close: () => schema.drop(),
  }
}

brokerContract('PostgreSQL', create)
effectsContract('PostgreSQL', create, { outside: false })
