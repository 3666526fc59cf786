import type { ClientConfig } from 'pg'

/**
 * Where the server listens: on a Unix socket in a protected directory; on Windows, where few programs support Unix sockets, on
 * TCP with a password.
 */
export type Address =
  | { readonly kind: 'socket'; readonly directory: string; readonly port: number }
  | { readonly kind: 'tcp'; readonly port: number; readonly password: string }

/** The name of the PostgreSQL role that owns everything, and also of the application's database. */
export const NAME = 'onedyno'

/**
 * Only a part of the socket's file name, because the server does not listen on TCP: libpq opens `.s.PGSQL.<port>` in the
 * directory.
 */
export const SOCKET_PORT = 5432

export const socketName = (port: number): string => `.s.PGSQL.${port}`

/**
 * Returns the DATABASE_URL of the child processes, in a form that pg, pgx and every client of libpq (psql, psycopg, SQLAlchemy,
 * Ruby's pg) accept. It includes the port, because PGPORT of the user's shell would otherwise override the default.
 */
export function databaseUrl(address: Address): string {
  if (address.kind === 'tcp') return `postgresql://${NAME}:${address.password}@127.0.0.1:${address.port}/${NAME}?sslmode=disable`
  const host = address.directory.split('/').map(encodeURIComponent).join('/')
  return `postgresql://${NAME}@/${NAME}?host=${host}&port=${address.port}`
}

/** Returns the options of onedyno's own connections. They set every value, so that PG* variables have no effect. */
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
