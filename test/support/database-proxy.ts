import { Client } from 'pg'
import { startTcpProxy, type TcpProxy } from './tcp-proxy.ts'

/** A proxy before the database of this URL, and the URL through it; also before an embedded server, which listens on a Unix socket alone. */
export async function startDatabaseProxy(url: string): Promise<{ proxy: TcpProxy; url: string }> {
  const { host, port, user = '', database = '', password } = new Client({ connectionString: url })
  const proxy = await startTcpProxy(host.startsWith('/') ? { path: `${host}/.s.PGSQL.${port}` } : { host, port })
  const through = new URL(`postgresql://127.0.0.1:${proxy.port}/${encodeURIComponent(database)}`)
  through.username = user
  through.password = password ?? ''
  return { proxy, url: through.href }
}
