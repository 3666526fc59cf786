import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

export interface TcpProxy {
  readonly port: number
  /** Number of open connections. */
  readonly connections: number
  /** Closes all connections without a protocol message. Accepts new ones. */
  cut(): void
  /** Closes all connections and refuses new ones until `open`. */
  shut(): void
  open(): void
  /** Stops forwarding but closes nothing, as a network that drops all packets. */
  freeze(): void
  /** Calls `then` once after this many further bytes went to the server. */
  afterBytesUp(bytes: number, then: () => void): void
  close(): Promise<void>
}

/** A proxy between a client and a local server. The test decides what the network does. */
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
