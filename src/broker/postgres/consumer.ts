import { waitAtMost } from '../../concurrency/with-timeout.ts'
import type { Database } from '../../database/database.ts'
import { sql } from '../../database/sql.ts'
import type { Log } from '../../log.ts'
import type { ConsumeOptions, Consumer } from '../broker.ts'
import { createConsumer } from '../consumer/consumer.ts'
import { createHeldTable } from '../consumer/held.ts'
import { createLifeCycle } from '../consumer/life-cycle.ts'
import { createPrefetch } from '../consumer/prefetch.ts'
import { openWorkerSession } from '../worker-session.ts'
import { type PostgresHeld, tagOf } from './claimed.ts'
import { createEarlyAcks } from './early-acks.ts'
import { blameAll } from './reconcile.ts'
import { createPostgresReleases } from './releases.ts'
import { createPostgresTurns } from './turns.ts'

/**
 * NOTIFY wakes the consumer. This poll is for a connection pooler that drops notifications; it costs one empty statement.
 * Milliseconds.
 */
const LOOK_AGAIN_MS = 30_000

/**
 * A worker's hold on its queues in PostgreSQL. One statement at a time stores outcomes, acknowledges their messages and claims the next
 * messages (sql/queries/message-settle.sql).
 */
export async function createPostgresConsumer(database: Database, options: ConsumeOptions, log: Log): Promise<Consumer> {
  const life = createLifeCycle()
  const prefetch = createPrefetch(options.concurrency)
  const held = createHeldTable<PostgresHeld>(prefetch, tagOf)
  const releases = createPostgresReleases(database)
  const earlyAcks = createEarlyAcks(database)
  const workerId = () => worker.id
  const turns = createPostgresTurns({ database, log, life, held, prefetch, releases, earlyAcks, workerId }, options)

  const wake = () => {
    life.send('messages-signalled')
    turns.wake()
  }

  const onReconnected = ({ declaredDead }: { declaredDead: boolean }) => {
    if (declaredDead) blameAll(held)
    life.send('link-failed')
    turns.wake()
  }

  const worker = await openWorkerSession(database, { ...options, log, wake, onReconnected })
  life.send('registered')
  const floor = setInterval(wake, LOOK_AGAIN_MS)
  turns.wake()
  return createConsumer<PostgresHeld>(
    { held, life, log },
    {
      settle: ({ tag, message, early }, outcome, { effects }) => turns.settle({ tag, message, outcome, early, effects }),
      storeStarted: (outcome) => turns.settle({ tag: undefined, message: undefined, outcome, early: false }),
      acknowledge(delivery) {
        const gone = earlyAcks.add(delivery.tag, worker.id)
        turns.wake()
        return gone
      },
      async begin(delivery) {
        const mine = held.get(delivery)
        if (mine !== undefined) mine.begun = true
        await database.query(sql('message-begin'), [delivery.tag, worker.id])
      },
      requeue(delivery, counted) {
        releases.requeue(delivery.tag, counted)
        turns.wake()
      },
      deadLetter(delivery, reason) {
        releases.deadLetter(delivery.tag, reason)
        turns.wake()
      },
      async stop() {
        // In doubt there is no claim under way, so no message can arrive.
        if (!life.isInDoubt) await turns.idle()
      },
      flush: turns.idle,
      async drain(withinMs) {
        clearInterval(floor)
        await waitAtMost(turns.idle(), withinMs)
      },
      get unsettled() {
        return turns.unwritten
      },
      async leave() {
        void turns.stop()
        earlyAcks.giveUp()
        await worker.leave()
      },
    },
  )
}
