import { AppError } from '../errors.ts'
import type { Database } from './database.ts'

const WRITABLE = {
  name: 'writable',
  text: "SELECT pg_is_in_recovery() AS standby, current_setting('transaction_read_only') = 'on' AS read_only",
}

/**
 * A standby answers queries and has the right schema, but refuses everything that a role does.
 * @throws AppError DATABASE_READ_ONLY
 */
export function checkWritable(database: Pick<Database, 'transaction'>): Promise<void> {
  return database.transaction(async (client) => {
    const [row] = await client.query<{ standby: boolean; read_only: boolean }>(WRITABLE)
    if (row?.standby) throw new AppError('DATABASE_READ_ONLY', 'this server is a standby (read-only)')
    if (row?.read_only)
      throw new AppError('DATABASE_READ_ONLY', 'this database is read-only (default_transaction_read_only is on)')
  })
}
