import type { State } from '../../../src/app/outcome.ts'
import type { Broker } from '../../../src/broker/broker.ts'
import type { Database } from '../../../src/database/database.ts'

/** A broker implementation under test: an empty broker and database, and ways to break the connection between them. */
export interface BrokerFixture {
  /** For queries against the tables. */
  readonly database: Database
  /** Opens a broker client with connections of its own, as another process would have them. */
  open(): Promise<Broker>
  /** States of the stored outcomes, by task id. */
  recorded(): Promise<Map<string, State>>
  /** Number of rows in `dead_letter`. */
  deadLetters(): Promise<number>
  /** Closes all connections of this client as a kill -9 of its process does. */
  cut(broker: Broker): Promise<void>
  /** Closes the connections to the message broker and refuses new ones. The database stays connected. Absent if both are one server. */
  readonly shut?: (broker: Broker) => void
  close(): Promise<void>
}

/** An implementation that the contract suites (test/integration/broker/contract/) run against. */
export interface BrokerUnderTest {
  readonly name: string
  /** True if its server does not answer here; its tests are skipped then. */
  readonly isMissing: boolean
  /** Time until messages of a dead worker are delivered again. */
  readonly redeliveredWithinMs: number
  /** True if messages are not in our database, so that a message can survive its outcome's commit. */
  readonly isOutside: boolean
  create(): Promise<BrokerFixture>
  /** Deletes what all fixtures of this test file share. */
  closeAll(): Promise<void>
}
