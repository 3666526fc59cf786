import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

export interface TcpProxy {
  readonly port: number
  /** Connections that stand now. */
  readonly connections: number
  /** Ends every connection at once, without a word. New ones are taken. */
  cut(): void
  /** Ends every connection and refuses new ones until `open`. */
  shut(): void
  open(): void
  /** Nothing goes through any more, but nothing is closed: a network that swallows everything. */
  freeze(): void
  /** Calls back once so many more bytes have gone to the server. */
  afterBytesUp(bytes: number, then: () => void): void
  close(): Promise<void>
}

/** Between a client and a server on this machine: what the network does to them is the test's decision. */
export async function startTcpProxy(target: { host: string; port: number } | { path: string }): Promise<TcpProxy> {
  const pairs = new Set<readonly [Socket, Socket]>()
  let isShut = false
  let watch: { left: number; then: () => void } | undefined

  const server = createServer({ noDelay: true }, (client) => {
    if (isShut) return void client.destroy()
    const upstream = connect({ ...target, noDelay: true })
    const pair = [client, upstream] as const
    pairs.add(pair)
    const end = () => {
      client.destroy()
      upstream.destroy()
      pairs.delete(pair)
    }
    for (const socket of pair) socket.on('error', end).on('close', end)
    client.on('data', (chunk: Buffer) => {
      if (watch === undefined) return
      watch.left -= chunk.length
      if (watch.left > 0) return
      const { then } = watch
      watch = undefined
      then()
    })
    client.pipe(upstream)
    upstream.pipe(client)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')

  const cut = () => {
    for (const [client, upstream] of [...pairs]) {
      client.destroy()
      upstream.destroy()
    }
  }
  return {
    port: (server.address() as { port: number }).port,
    get connections() {
      return pairs.size
    },
    cut,
    shut() {
      isShut = true
      cut()
    },
    open() {
      isShut = false
    },
    freeze() {
      for (const [client, upstream] of pairs) {
        client.unpipe(upstream)
        upstream.unpipe(client)
        client.pause()
        upstream.pause()
      }
    },
    afterBytesUp(left, then) {
      watch = { left, then }
    },
    async close() {
      cut()
      server.close()
      await once(server, 'close')
    },
  }
}
