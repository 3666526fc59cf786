import { Client, DatabaseError } from 'pg'
import { type Address, clientConfig, NAME } from './address.ts'

/** invalid_catalog_name */
const NO_SUCH_DATABASE = '3D000'
/** cannot_connect_now: starting up or shutting down */
const CANNOT_CONNECT_NOW = '57P03'

/** What is at an address: the server of this data directory, another one, one that does not say (no connection left), or nothing. */
export type Answer = 'this' | 'another' | 'busy' | 'none'

/**
 * Asks the server whether it sees `marker`, the path of a file in its data directory that nobody else has (`pg_stat_file` takes relative
 * paths there): a data directory may have been copied, renamed or mounted elsewhere, so no path or identifier tells two servers apart.
 */
export async function askServer(address: Address, marker: string): Promise<Answer> {
  try {
    return await withClient(address, 'postgres', async (client) => {
      const { rows } = await client.query('SELECT (pg_stat_file($1, true)).size IS NOT NULL AS here', [marker])
      return rows[0]?.here === true ? 'this' : 'another'
    })
  } catch (error) {
    // A DatabaseError was sent by a server; ECONNREFUSED, ENOENT and the like were not.
    return error instanceof DatabaseError && error.code !== CANNOT_CONNECT_NOW ? 'busy' : 'none'
  }
}

/** Proves that the server answers, and makes the application's database if it is missing. */
export async function ensureDatabase(address: Address, isNew: boolean): Promise<void> {
  if (!isNew) {
    try {
      return await withClient(address, NAME, async (client) => void (await client.query('SELECT 1')))
    } catch (error) {
      if ((error as { code?: string }).code !== NO_SUCH_DATABASE) throw error
    }
  }
  await withClient(address, 'postgres', (client) => client.query(`CREATE DATABASE ${NAME}`))
}

/** Resolves when a connection that is kept open for this breaks, which is how the death of a process that is no child of ours shows. */
export async function untilDisconnected(address: Address): Promise<void> {
  const client = new Client(clientConfig(address, 'postgres'))
  const { promise, resolve } = Promise.withResolvers<void>()
  client.on('error', () => resolve())
  client.on('end', () => resolve())
  try {
    await client.connect()
    await promise
  } catch {
    // The caller asks whether the server still lives.
  } finally {
    await client.end().catch(() => {})
  }
}

async function withClient<T>(address: Address, database: string, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client(clientConfig(address, database))
  client.on('error', () => {}) // a query that is under way rejects
  try {
    await client.connect()
    return await work(client)
  } finally {
    await client.end().catch(() => {})
  }
}
