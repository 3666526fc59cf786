import { createHash } from 'node:crypto'
import type { TransactionClient } from '../app/apply-options.ts'
import type { UniqueClaim, UniqueHolder, UniqueStore } from '../app/calls/unique.ts'
import { retry } from '../concurrency/retry.ts'
import { AppError } from '../errors.ts'
import type { Database } from './database.ts'
import { BRIEF_RETRY, retryBriefly } from './retry-briefly.ts'
import { sql } from './sql.ts'

/** Maximum length of the column `unique_task.key`. */
const MAX_KEY_CHARACTERS = 1000
/** A process deletes expired keys at its first claim and then at every hundredth claim. */
const SWEEP_EVERY = 100
const SWEEP_ROWS = 1000

/**
 * Creates the store for the keys of unique tasks, in PostgreSQL for every broker. A key is freed in the commit that stores the
 * outcome of its task.
 */
export function createUniqueStore(database: Database): UniqueStore {
  let claims = 0

  const sweep = () => {
    if (claims++ % SWEEP_EVERY === 0) database.query(sql('unique-sweep'), [SWEEP_ROWS]).catch(() => {})
  }

  return {
    async claim(asked, transaction) {
      const values = [...columnsOf(asked), asked.map(({ forMs }) => forMs)]
      const rows =
        transaction === undefined
          ? await retryBriefly(() => database.query<Holder>(sql('unique-claim'), values), 'did not say who holds the key')
          : await claimInside(database, transaction, values)
      if (transaction === undefined) sweep()
      const holders = new Map(rows.map((row) => [row.key, row]))
      return asked.map((claim) => holderOf(claim, holders))
    },
    async notSent(asked, certain) {
      const statement = sql(certain ? 'unique-not-sent' : 'unique-unconfirmed')
      await retry(() => database.query(statement, columnsOf(asked)), BRIEF_RETRY).catch(() => {})
    },
  }
}

type Holder = { readonly key: string; readonly task_id: string; readonly sender: string | null }

async function claimInside(database: Database, client: TransactionClient, values: unknown[]): Promise<readonly Holder[]> {
  const answer = await client.query(database.qualify(sql('unique-claim')).text, values)
  const rows = (answer as { rows?: readonly Holder[] } | undefined)?.rows
  if (!Array.isArray(rows))
    throw new AppError('TASK_OPTION_INVALID', 'transaction.query() must return { rows }, which unique reads')
  return rows
}

function holderOf({ key, id }: UniqueClaim, holders: ReadonlyMap<string, Holder>): UniqueHolder {
  const { task_id, sender } = holders.get(storedKey(key))!
  return { id: task_id, taken: sender === id }
}

const columnsOf = (claims: readonly UniqueClaim[]): string[][] => [
  claims.map(({ key }) => storedKey(key)),
  claims.map(({ id }) => id),
]

/** Returns the key itself, so that a person can find it in the table. If the column cannot hold the key, returns its hash. */
function storedKey(key: string): string {
  if (key.length <= MAX_KEY_CHARACTERS && !key.includes('\0') && key.isWellFormed()) return key
  const name = key.slice(0, 200).split(' ', 1)[0]
  return `${name} sha256:${createHash('sha256').update(key, 'utf16le').digest('hex')}`
}
