import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { Client } from 'pg'

/**
 * How a gate treats a new connection: `open` forwards it, `refuse` has no listener, `close` accepts and closes it, `startup` closes it after
 * the first bytes of the client, and a SQLSTATE is the server's error message to these bytes.
 */
export type GateMode = 'open' | 'refuse' | 'close' | 'startup' | { readonly sqlstate: string }

export interface StartupGate {
  readonly url: string
  /** Connections since the gate exists. */
  readonly attempts: number
  set(mode: GateMode): Promise<void>
  close(): Promise<void>
}

/** A proxy to the database of this URL that decides how connections begin. */
export async function startStartupGate(url: string, mode: GateMode): Promise<StartupGate> {
  const { host, port: upstreamPort, user = '', database = '', password } = new Client({ connectionString: url })
  const sockets = new Set<Socket>()
  let current: GateMode = mode
  let attempts = 0
  let port = 0
  let server: Server | undefined

  const forward = (client: Socket) => {
    const upstream = host.startsWith('/') ? connect(`${host}/.s.PGSQL.${upstreamPort}`) : connect(upstreamPort, host)
    sockets.add(upstream)
    upstream.on('error', () => {}).on('close', () => client.destroy())
    client.on('close', () => upstream.destroy())
    client.pipe(upstream).pipe(client)
  }
  const onConnection = (client: Socket) => {
    attempts += 1
    sockets.add(client)
    client.on('error', () => {})
    if (current === 'open') return forward(client)
    if (current === 'close') return void client.destroy()
    const answer = typeof current === 'object' ? errorResponse(current.sqlstate) : undefined
    client.once('data', () => (answer === undefined ? client.destroy() : client.end(answer)))
  }
  const listen = async () => {
    server = createServer(onConnection).listen(port, '127.0.0.1')
    await once(server, 'listening')
    port = (server.address() as { port: number }).port
  }
  const close = async () => {
    for (const socket of sockets) socket.destroy()
    sockets.clear()
    server?.close()
    if (server?.listening) await once(server, 'close')
    server = undefined
  }
  await listen()
  if (mode === 'refuse') await close()

  const through = new URL(`postgresql://127.0.0.1:${port}/${encodeURIComponent(database)}`)
  through.username = user
  through.password = password ?? ''
  return {
    url: through.href,
    get attempts() {
      return attempts
    },
    async set(next) {
      current = next
      if (next === 'refuse') await close()
      else if (server === undefined) await listen()
      else for (const socket of sockets) socket.destroy()
    },
    close,
  }
}

/** ErrorResponse (PostgreSQL 18, section 54.7, "Message Formats"). */
function errorResponse(sqlstate: string): Buffer {
  const fields = Buffer.from(`SFATAL\0VFATAL\0C${sqlstate}\0Mthe gate answers ${sqlstate}\0\0`)
  const head = Buffer.from('E\0\0\0\0')
  head.writeInt32BE(fields.length + 4, 1)
  return Buffer.concat([head, fields])
}
