import { Client } from 'pg'
import { startTcpProxy, type TcpProxy } from './tcp-proxy.ts'

/** Starts a TCP proxy for the database of this URL. Also works for an embedded server, which listens only on a Unix socket. */
export async function startDatabaseProxy(url: string): Promise<{ proxy: TcpProxy; url: string }> {
  const { host, port, user = '', database = '', password } = new Client({ connectionString: url })
  const proxy = await startTcpProxy(host.startsWith('/') ? { path: `${host}/.s.PGSQL.${port}` } : { host, port })
  const through = new URL(`postgresql://127.0.0.1:${proxy.port}/${encodeURIComponent(database)}`)
  through.username = user
  through.password = password ?? ''
  return { proxy, url: through.href }
}
