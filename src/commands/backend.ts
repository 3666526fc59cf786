import type { Backend } from '../app/app.ts'
import type { Broker } from '../broker/broker.ts'
import { sendPlan } from '../broker/outbox/send-plan.ts'
import type { Database } from '../database/database.ts'
import { createGroups } from '../database/groups.ts'
import { keepManyInOutbox } from '../database/outbox.ts'
import type { Results } from '../database/results.ts'
import { createUniqueStore } from '../database/unique.ts'
import { createRevoke } from './revoke-everywhere.ts'

/** Returns the backend that sends tasks and reads results over the connections of this process. */
export function createBackend(
  database: Database,
  broker: Broker,
  results: Results,
  close: () => Promise<void> = async () => {},
): Backend {
  return {
    publish(messages) {
      results.sending(messages.map(({ headers }) => headers.id))
      return broker.publish(messages)
    },
    send(plan, transaction) {
      if (transaction === undefined) results.sending(plan.messages.map(({ headers }) => headers.id))
      return sendPlan({ database, broker }, plan, transaction)
    },
    keep: (messages, transaction) => keepManyInOutbox(database, messages, transaction),
    ...createUniqueStore(database),
    ...createGroups(database),
    revoke: createRevoke(database, broker),
    find: results.find,
    wait: results.wait,
    forget: results.forget,
    close,
  }
}
