import { Client, DatabaseError } from 'pg'
import { type Address, clientConfig, NAME } from './address.ts'

/** invalid_catalog_name: the database does not exist */
const NO_SUCH_DATABASE = '3D000'
/** cannot_connect_now: the server starts or shuts down */
const CANNOT_CONNECT_NOW = '57P03'

/**
 * The server that listens at an address: `this`: the server of this data directory; `another`: a different server; `busy`: it
 * refuses to answer, for example because no connection is free; `none`: there is no server.
 */
export type Answer = 'this' | 'another' | 'busy' | 'none'

/**
 * Asks the server whether its data directory contains the file `marker`, whose name is unique (`pg_stat_file` takes relative
 * paths). Paths and identifiers cannot tell two servers apart, because a data directory may be copied, renamed or mounted
 * elsewhere.
 */
export async function askServer(address: Address, marker: string): Promise<Answer> {
  try {
    return await withClient(address, 'postgres', async (client) => {
      const { rows } = await client.query('SELECT (pg_stat_file($1, true)).size IS NOT NULL AS here', [marker])
      return rows[0]?.here === true ? 'this' : 'another'
    })
  } catch (error) {
    // A DatabaseError comes from a server. Errors such as ECONNREFUSED and ENOENT mean that there is no server.
    return error instanceof DatabaseError && error.code !== CANNOT_CONNECT_NOW ? 'busy' : 'none'
  }
}

/** Checks that the server answers. Creates the application's database if it is missing. */
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

/** Opens a connection and resolves when it breaks. This shows the end of a server that is not a child of this process. */
export async function untilDisconnected(address: Address): Promise<void> {
  const client = new Client(clientConfig(address, 'postgres'))
  const { promise, resolve } = Promise.withResolvers<void>()
  client.on('error', () => resolve())
  client.on('end', () => resolve())
  try {
    await client.connect()
    await promise
  } catch {
    // A failure is ignored: the caller checks whether the server still lives.
  } finally {
    await client.end().catch(() => {})
  }
}

async function withClient<T>(address: Address, database: string, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client(clientConfig(address, database))
  client.on('error', () => {}) // the running query rejects with the same error
  try {
    await client.connect()
    return await work(client)
  } finally {
    await client.end().catch(() => {})
  }
}
