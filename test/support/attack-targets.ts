import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gzipSync } from 'node:zlib'

/** Starts a canary server, which no request may reach, and an origin that FETCH_ALLOW allows. */
export async function startAttackTargets() {
  let hits = 0
  const canary = await listen((_request, response) => {
    hits += 1
    response.end('CANARY')
  })
  const origin = await listen(answer)
  return {
    canaryPort: portOf(canary),
    originHost: `127.0.0.1:${portOf(origin)}`,
    hits: () => hits,
    async stop() {
      for (const server of [canary, origin]) {
        server.closeAllConnections()
        await new Promise((resolve) => server.close(resolve))
      }
    },
  }
}

const portOf = (server: Server) => (server.address() as AddressInfo).port

const listen = (handler: RequestListener) =>
  new Promise<Server>((resolve) => {
    const server = createServer(handler).listen(0, '127.0.0.1', () => resolve(server))
  })

const answer: RequestListener = (request, response) => {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://x')
  const to = searchParams.get('to')
  if (pathname === '/redirect') response.writeHead(302, { location: (to === 'loop' ? request.url : to) ?? '/' }).end()
  else if (pathname === '/big') response.end(Buffer.alloc(13_000_000, 97))
  else if (pathname === '/bomb') response.setHeader('content-encoding', 'gzip').end(gzipSync(Buffer.alloc(50 * 2 ** 20)))
  else if (pathname === '/slow') response.write('a')
  else response.end('OK')
}
