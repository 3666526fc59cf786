import type { TaskContext } from '../app/task-context.ts'
import type { TaskOptions } from '../app/task-options.ts'
import type { Config } from '../config.ts'

/**
 * `[status, text]`, or `[status, base64, { encoding: 'base64', contentType }]` if the body is not text. Every status is a
 * result, also 404 and 500, because the server sent an answer.
 */
export type Fetched =
  | [status: number, body: string]
  | [status: number, body: string, about: { encoding: 'base64'; contentType: string | null }]

/**
 * Creates the task `tasks.fetch_url(url)`, which fetches a public address with GET.
 * @throws AppError URL_REFUSED if the URL is not public http or https, RESPONSE_REFUSED above the limits of FETCH_MAX_BYTES,
 * FETCH_TIMEOUT and five redirects
 */
export function createFetchUrl(config: Pick<Config, 'fetchAllow' | 'fetchMaxBytes' | 'fetchTimeoutMs'>) {
  return async ({ signal }: Pick<TaskContext, 'signal'>, url: string): Promise<Fetched> => {
    // undici takes 29 MB, so a process loads it at its first fetch. The web process never loads it.
    const [{ fetchPublic }, { decodeText }] = await Promise.all([
      import('./fetch/fetch-public.ts'),
      import('./fetch/decode-text.ts'),
    ])
    const { status, contentType, bytes } = await fetchPublic(url, {
      signal,
      maxBytes: config.fetchMaxBytes,
      timeoutMs: config.fetchTimeoutMs,
      allow: config.fetchAllow,
    })
    const text = decodeText(bytes, contentType)
    return text === undefined ? [status, bytes.toString('base64'), { encoding: 'base64', contentType }] : [status, text]
  }
}

export const fetchUrlOptions: TaskOptions<[string]> & { bind: true } = {
  bind: true,
  description: 'Fetches a public web page and returns [status, body].',
  args: [
    { type: 'string', title: 'url', description: 'An http or https address.', pattern: '^(https?|HTTPS?)://', maxLength: 2048 },
  ],
  example: ['https://example.org/'],
}
