import type { Outcome } from '../../app/outcome.ts'
import { createPump, type Pump } from '../../concurrency/pump.ts'
import type { Database } from '../../database/database.ts'
import type { Log } from '../../log.ts'
import type { ConsumeOptions } from '../broker.ts'
import { createBatchQueue } from '../consumer/batch-queue.ts'
import type { HeldTable } from '../consumer/held.ts'
import type { LifeCycle } from '../consumer/life-cycle.ts'
import type { Prefetch } from '../consumer/prefetch.ts'
import { createStoreFailures } from '../consumer/store-failures.ts'
import { nextBatch } from '../outcomes/backlog.ts'
import { storedOutcomesOf } from '../outcomes/stored-outcomes.ts'
import type { PostgresHeld } from './claimed.ts'
import { createClaimed } from './claimed.ts'
import type { EarlyAcks } from './early-acks.ts'
import { reconcileClaims } from './reconcile.ts'
import type { PostgresReleases } from './releases.ts'
import { createStoreAndClaim, type PostgresSettlement } from './store-and-claim.ts'

export interface PostgresTurnsParts {
  readonly database: Database
  readonly log: Log
  readonly life: LifeCycle
  readonly held: HeldTable<PostgresHeld>
  readonly prefetch: Prefetch
  readonly releases: PostgresReleases
  readonly earlyAcks: EarlyAcks
  readonly workerId: () => number
}

/** `idle` also starts the waiting work, and resolves when it is done. */
export interface PostgresTurns extends Pick<Pump, 'wake' | 'idle' | 'stop'> {
  settle(settlement: PostgresSettlement): void
  /** The number of settlements, requeues, dead letters and early acknowledgements that are not yet written. */
  readonly unwritten: number
}

/** The turns of one consumer: it writes everything that ended, then claims the next messages. */
export function createPostgresTurns(parts: PostgresTurnsParts, options: ConsumeOptions): PostgresTurns {
  const { database, log, life, held, prefetch, releases, earlyAcks, workerId } = parts
  const settlements = createSettlementQueue(options)
  const storeAndClaim = createStoreAndClaim(database, { ...options, log, workerId })
  const failures = createStoreFailures(log)
  const handOut = createClaimed({
    ...{ held, prefetch, log, onDeliveries: options.onDeliveries },
    acknowledge: (tag, early) => settlements.add({ tag, message: undefined, outcome: null, early }),
  })

  const claimable = () => (life.mayClaim ? prefetch.room() : 0)
  const unwritten = () => settlements.size + releases.size + earlyAcks.size
  const hasWork = () => life.isOpen && (life.isInDoubt || unwritten() > 0 || claimable() > 0)

  const turn = async () => {
    if (life.isInDoubt) await reconcile()
    if (earlyAcks.size > 0) for (const tag of await earlyAcks.send(workerId())) held.releaseKey(tag)
    await releases.write(workerId())
    if (settlements.size > 0 || claimable() > 0) await storeAndClaimNext()
    failures.succeeded()
  }

  const reconcile = async () => {
    life.send('recovery-started')
    const unwrittenTags = () => [...settlements.items.flatMap(({ tag }) => tag ?? []), ...releases.tags]
    await reconcileClaims(database, { workerId: workerId(), held, unwritten: unwrittenTags })
    life.send('recovered')
  }

  const storeAndClaimNext = async () => {
    const batch = nextBatch(settlements.items)
    const room = claimable()
    // This precedes the statement, so that a signal that arrives during the statement is not lost.
    if (room > 0) life.send('claim-sent')
    const { rows, claimed, alsoStored } = await storeAndClaim(batch, room)
    const finished = rows.length === 0 ? undefined : new Set(settlements.items.map(({ tag }) => tag))
    settlements.stored(batch, alsoStored)
    if (room > 0 && (!claimed || rows.length >= room)) life.send('messages-signalled')
    if (finished !== undefined) handOut(rows, finished)
  }

  const pump = createPump({
    ...{ hasWork, turn },
    onFailure(error) {
      life.send('link-failed')
      failures.failed(error as Error, settlements.size)
    },
    onRecovered: () => log.info('database takes outcomes again'),
  })

  return {
    ...{ wake: pump.wake, stop: pump.stop },
    async idle() {
      while (pump.running || hasWork()) {
        pump.wake()
        await pump.idle()
      }
    },
    settle(settlement) {
      settlements.add(settlement)
      pump.wake()
    },
    get unwritten() {
      return unwritten()
    },
  }
}

/** The settlements that are not yet stored. They count in the backlog of the process. Stored settlements go to the mirror. */
function createSettlementQueue({ backlog, mirror }: Pick<ConsumeOptions, 'backlog' | 'mirror'>) {
  const waiting = createBatchQueue<PostgresSettlement>()
  return {
    get size() {
      return waiting.size
    },
    get items() {
      return waiting.items
    },
    add(settlement: PostgresSettlement) {
      waiting.add(settlement)
      backlog?.added(settlement)
    },
    stored(batch: readonly PostgresSettlement[], alsoStored: readonly Outcome[]) {
      waiting.written(batch)
      backlog?.stored(batch)
      if (mirror !== undefined) void mirror.write(storedOutcomesOf(batch, alsoStored))
    },
  }
}
