import type { ClientConfig } from 'pg'

/** Where the server listens. TCP only where unix sockets cannot be used (Windows), with a password; a socket's directory is its own protection. */
export type Address =
  | { readonly kind: 'socket'; readonly directory: string; readonly port: number }
  | { readonly kind: 'tcp'; readonly port: number; readonly password: string }

/** The role that owns everything, and the database of the application. */
export const NAME = 'onedyno'

/** Only a name here, since there is no TCP: libpq looks for `.s.PGSQL.<port>` in the directory. */
export const SOCKET_PORT = 5432

export const socketName = (port: number): string => `.s.PGSQL.${port}`

/**
 * What children get as DATABASE_URL. Understood by pg, by everything on libpq (psql, psycopg, SQLAlchemy, Ruby's pg) and by pgx.
 * The port is spelled out because PGPORT of the user's shell would win over the default.
 */
export function databaseUrl(address: Address): string {
  if (address.kind === 'tcp') return `postgresql://${NAME}:${address.password}@127.0.0.1:${address.port}/${NAME}?sslmode=disable`
  const host = address.directory.split('/').map(encodeURIComponent).join('/')
  return `postgresql://${NAME}@/${NAME}?host=${host}&port=${address.port}`
}

/** For our own connections: nothing is left to PG* variables. */
export function clientConfig(address: Address, database: string): ClientConfig {
  const config = {
    user: NAME,
    database,
    ssl: false,
    port: address.port,
    connectionTimeoutMillis: 5_000,
    application_name: 'onedyno start',
  }
  if (address.kind === 'tcp') return { ...config, host: '127.0.0.1', password: address.password }
  return { ...config, host: address.directory, password: '' }
}
