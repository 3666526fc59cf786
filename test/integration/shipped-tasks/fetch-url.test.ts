import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { fetchPublic } from '../../../src/tasks/fetch/fetch-public.ts'
import { createFetchUrl } from '../../../src/tasks/fetch-url.ts'

/** A server in the private network that counts its requests. */
let canary: Server
let canaryHits = 0
/** A server that FETCH_ALLOW allows. */
let origin: Server
let allowed: string
const seen: { url: string | undefined; headers: NodeJS.Dict<string | string[]> }[] = []

const listen = (handler: RequestListener) =>
  new Promise<Server>((resolve) => {
    const server = createServer(handler).listen(0, '127.0.0.1', () => resolve(server))
  })
const portOf = (server: Server) => (server.address() as AddressInfo).port

const PAGES: Record<string, RequestListener> = {
  '/text': (_request, response) => response.setHeader('content-type', 'text/plain').end('hello'),
  '/missing': (_request, response) => response.writeHead(404, { 'content-type': 'text/plain' }).end('no'),
  '/image': (_request, response) => response.setHeader('content-type', 'image/png').end(Buffer.from([1, 2, 255])),
  '/big': (_request, response) => response.end(Buffer.alloc(5000, 97)),
  '/big-unannounced': (_request, response) => {
    response.write(Buffer.alloc(2500, 97))
    response.end(Buffer.alloc(2500, 97))
  },
  '/bomb': (_request, response) => response.setHeader('content-encoding', 'gzip').end(gzipSync(Buffer.alloc(1_000_000))),
  '/never': (_request, response) => response.write('a'),
  '/loop': (_request, response) => response.writeHead(302, { location: '/loop' }).end(),
  '/relative': (_request, response) => response.writeHead(301, { location: 'text' }).end('x'.repeat(100_000)),
  '/inside': (_request, response) => response.writeHead(307, { location: `http://127.0.0.1:${portOf(canary)}/` }).end(),
  '/file': (_request, response) => response.writeHead(302, { location: 'file:///etc/passwd' }).end(),
  '/nowhere': (_request, response) => response.writeHead(304).end(),
}

beforeAll(async () => {
  canary = await listen((_request, response) => {
    canaryHits += 1
    response.end('CANARY')
  })
  origin = await listen((request, response) => {
    seen.push({ url: request.url, headers: request.headers })
    PAGES[request.url ?? '']?.(request, response)
  })
  allowed = `127.0.0.1:${portOf(origin)}`
})

afterAll(async () => {
  for (const server of [canary, origin]) {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
})

const signal = new AbortController().signal
const fetchUrl = (path: string, limits: { fetchMaxBytes?: number; fetchTimeoutMs?: number } = {}) =>
  createFetchUrl({ fetchAllow: [allowed], fetchMaxBytes: 4096, fetchTimeoutMs: 5000, ...limits })(
    { signal },
    `http://${allowed}${path}`,
  )

test('fetch_url returns the status and the text of a page', async () => {
  expect(await fetchUrl('/text')).toEqual([200, 'hello'])
})

test('fetch_url returns an error page as its result and does not fail', async () => {
  expect(await fetchUrl('/missing')).toEqual([404, 'no'])
})

test('fetch_url returns a body that is not text as base64', async () => {
  expect(await fetchUrl('/image')).toEqual([200, 'AQL/', { encoding: 'base64', contentType: 'image/png' }])
})

test('fetch_url returns an answer that has a redirect status but no location', async () => {
  expect(await fetchUrl('/nowhere')).toEqual([304, ''])
})

test('fetch_url follows a relative redirect and drops the body of the first page', async () => {
  seen.length = 0
  expect(await fetchUrl('/relative')).toEqual([200, 'hello'])
  expect(seen.map(({ url }) => url)).toEqual(['/relative', '/text'])
  expect(seen[1]!.headers).not.toHaveProperty('referer')
})

test('fetch_url does not request compression', async () => {
  seen.length = 0
  await fetchUrl('/text')
  expect(seen[0]!.headers['accept-encoding']).toBe('identity')
})

test.each([
  ['with a content-length', '/big'],
  ['without a content-length', '/big-unannounced'],
])('fetch_url refuses a body that is larger than the limit, in an answer %s', async (_how, path) => {
  await expect(fetchUrl(path)).rejects.toMatchObject({ code: 'RESPONSE_REFUSED', message: expect.stringContaining('4096 bytes') })
})

test('fetch_url accepts a body that is exactly as large as the limit', async () => {
  const [, body] = await fetchUrl('/big', { fetchMaxBytes: 5000 })
  expect(body).toHaveLength(5000)
})

test('fetch_url refuses a compressed body before unpacking it', async () => {
  await expect(fetchUrl('/bomb')).rejects.toMatchObject({ code: 'RESPONSE_REFUSED', message: expect.stringContaining('gzip') })
})

test('fetch_url fails at its timeout if the server never ends its answer', async () => {
  await expect(fetchUrl('/never', { fetchTimeoutMs: 200 })).rejects.toMatchObject({
    code: 'RESPONSE_REFUSED',
    message: expect.stringContaining('0.2 s'),
  })
})

test('fetch_url fails as soon as the worker stops, even if the server never ends its answer', async () => {
  const stopping = new AbortController()
  const fetching = createFetchUrl({ fetchAllow: [allowed], fetchMaxBytes: 4096, fetchTimeoutMs: 60_000 })(
    { signal: stopping.signal },
    `http://${allowed}/never`,
  )
  await new Promise((resolve) => origin.once('request', resolve))
  stopping.abort()
  await expect(fetching).rejects.toThrow(/abort/i)
})

test('fetch_url refuses a loop of redirects after five redirects', async () => {
  seen.length = 0
  await expect(fetchUrl('/loop')).rejects.toMatchObject({ code: 'RESPONSE_REFUSED', message: expect.stringContaining('5 times') })
  expect(seen).toHaveLength(6)
})

test.each([
  ['to a private address', '/inside'],
  ['to a file', '/file'],
])('fetch_url refuses a redirect %s and sends no request there', async (_where, path) => {
  canaryHits = 0
  await expect(fetchUrl(path)).rejects.toMatchObject({ code: 'URL_REFUSED' })
  expect(canaryHits).toBe(0)
})

test.each([
  ['one private address', [{ address: '127.0.0.1', family: 4 }]],
  [
    'a private address among public addresses',
    [
      { address: '1.1.1.1', family: 4 },
      { address: '10.0.0.1', family: 4 },
    ],
  ],
  ['an IPv4-mapped private address', [{ address: '::ffff:127.0.0.1', family: 6 }]],
  ['no address', []],
])('fetch_url refuses to connect to a host name that resolves to %s', async (_what, addresses) => {
  const resolve = (_host: string, _options: object, done: (error: null, found: typeof addresses) => void) => done(null, addresses)
  const limits = { signal, maxBytes: 10, timeoutMs: 2000, allow: [], resolve }
  await expect(fetchPublic('http://rebind.example:8080/', limits)).rejects.toMatchObject({
    code: 'URL_REFUSED',
    message: expect.stringContaining('rebind.example is not allowed'),
  })
})

test('fetch_url throws the network error for a host name that cannot be resolved', async () => {
  const resolve = (host: string, _options: object, done: (error: NodeJS.ErrnoException, found: never[]) => void) =>
    done(Object.assign(new Error(`getaddrinfo ENOTFOUND ${host}`), { code: 'ENOTFOUND' }), [])
  const limits = { signal, maxBytes: 10, timeoutMs: 2000, allow: [], resolve }
  await expect(fetchPublic('http://nowhere.example/', limits)).rejects.toThrow(/ENOTFOUND/)
})
