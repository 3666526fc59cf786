import { Agent, type Dispatcher, request } from 'undici'
import { AppError } from '../../errors.ts'
import { createGuardedConnector, type Resolve } from './guarded-connector.ts'
import { checkTarget, createAllowList } from './target.ts'

const MAX_REDIRECTS = 5
const CONNECT_MS = 5_000
/** Milliseconds. Longest time without data, before the headers and within the body. */
const IDLE_MS = 10_000
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])

interface FetchLimits {
  readonly signal: AbortSignal
  readonly maxBytes: number
  /** Limit for the whole fetch, including redirects. */
  readonly timeoutMs: number
  /** `host:port` pairs that may be fetched although they are private. */
  readonly allow: readonly string[]
  readonly resolve?: Resolve
}

export interface PublicResponse {
  readonly status: number
  readonly contentType: string | null
  readonly bytes: Buffer
}

/**
 * Fetches a public URL with GET. Checks each redirect like the first URL. Asks for an uncompressed body, because undici's size
 * limit counts compressed bytes, and a body of 50 kB can unpack to 50 MB. Uses its own Agent, which ignores HTTP_PROXY, because
 * a proxy would resolve names without these checks.
 * @throws AppError URL_REFUSED, RESPONSE_REFUSED; network errors are thrown unchanged
 */
export async function fetchPublic(text: string, limits: FetchLimits): Promise<PublicResponse> {
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
      if (hop === MAX_REDIRECTS) throw new AppError('RESPONSE_REFUSED', `${text} redirects more than ${MAX_REDIRECTS} times`)
      response.body.on('error', () => {}) // The body of a redirect is not read. Destroying the agent ends it with an error, which is ignored.
      url = checkTarget(location, isAllowed, url)
    }
  } catch (error) {
    if (timeout.aborted)
      throw new AppError(
        'RESPONSE_REFUSED',
        `${text} took longer than the limit of ${limits.timeoutMs / 1000} s (FETCH_TIMEOUT)`,
        {
          cause: error,
        },
      )
    throw error
  } finally {
    await agent.destroy()
  }
}

async function read(response: Dispatcher.ResponseData, maxBytes: number): Promise<PublicResponse> {
  const tooLarge = () =>
    new AppError('RESPONSE_REFUSED', `the body is too large: the limit is ${maxBytes} bytes (FETCH_MAX_BYTES)`)
  const encoding = header(response, 'content-encoding')
  if (encoding !== null && encoding.toLowerCase() !== 'identity') {
    throw new AppError('RESPONSE_REFUSED', `the body has the encoding ${encoding}, which the request did not accept`)
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
