import { Agent, type Dispatcher, request } from 'undici'
import { AppError } from '../../errors.ts'
import { createGuardedConnector, type Resolve } from './guarded-connector.ts'
import { checkTarget, createAllowList } from './target.ts'

const MAX_REDIRECTS = 5
const CONNECT_MS = 5_000
/** Longest silence, before the headers and within the body. */
const IDLE_MS = 10_000
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])

export interface FetchLimits {
  readonly signal: AbortSignal
  readonly maxBytes: number
  /** For everything, redirects included. */
  readonly timeoutMs: number
  /** `host:port` pairs that may be reached although they are private. */
  readonly allow: readonly string[]
  readonly resolve?: Resolve
}

export interface Fetched {
  readonly status: number
  readonly contentType: string | null
  readonly bytes: Buffer
}

/**
 * GET of a public URL, each redirect checked like the first. Nothing is compressed on the way, because undici's limit counts what travels and
 * a bomb of 50 kB unpacks to 50 MB (reference/web-platform.md §0.4). An explicit Agent also keeps HTTP_PROXY out, which would resolve names for us.
 * @throws AppError URL_REFUSED, RESPONSE_REFUSED; the error of the network as it is
 */
export async function fetchPublic(text: string, limits: FetchLimits): Promise<Fetched> {
  const isAllowed = createAllowList(limits.allow)
  const timeout = AbortSignal.timeout(limits.timeoutMs)
  const signal = AbortSignal.any([limits.signal, timeout])
  const connect = createGuardedConnector(isAllowed, { timeoutMs: CONNECT_MS, ...(limits.resolve && { resolve: limits.resolve }) })
  const agent = new Agent({ connect, headersTimeout: IDLE_MS, bodyTimeout: IDLE_MS })
  try {
    let url = checkTarget(text, isAllowed)
    for (let hop = 0; ; hop++) {
      const response = await request(url, {
        dispatcher: agent,
        signal,
        headers: { 'accept-encoding': 'identity', 'user-agent': 'onedyno fetch_url' },
      })
      const location = REDIRECTS.has(response.statusCode) ? header(response, 'location') : null
      if (location === null) return await read(response, limits.maxBytes)
      if (hop === MAX_REDIRECTS) throw new AppError('RESPONSE_REFUSED', `${text} was redirected more than ${MAX_REDIRECTS} times`)
      response.body.on('error', () => {}) // what a redirect says beside its location is not read, and ends with the agent
      url = checkTarget(location, isAllowed, url)
    }
  } catch (error) {
    if (timeout.aborted)
      throw new AppError('RESPONSE_REFUSED', `${text} took longer than the limit of ${limits.timeoutMs / 1000} s`, {
        cause: error,
      })
    throw error
  } finally {
    await agent.destroy()
  }
}

async function read(response: Dispatcher.ResponseData, maxBytes: number): Promise<Fetched> {
  const tooLarge = () =>
    new AppError('RESPONSE_REFUSED', `the body is too large: the limit is ${maxBytes} bytes (FETCH_MAX_BYTES)`)
  const encoding = header(response, 'content-encoding')
  if (encoding !== null && encoding.toLowerCase() !== 'identity') {
    throw new AppError('RESPONSE_REFUSED', `the body is encoded as ${encoding}, which was not asked for`)
  }
  if (Number(header(response, 'content-length')) > maxBytes) throw tooLarge()
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of response.body) {
    size += (chunk as Buffer).length
    if (size > maxBytes) throw tooLarge()
    chunks.push(chunk as Buffer)
  }
  return { status: response.statusCode, contentType: header(response, 'content-type'), bytes: Buffer.concat(chunks, size) }
}

function header(response: Dispatcher.ResponseData, name: string): string | null {
  const value = response.headers[name]
  return (Array.isArray(value) ? value[0] : value) ?? null
}
