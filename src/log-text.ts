// The parts of logging that need no logger, for processes that must not load pino.

export type LogFormat = 'text' | 'json'
export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

/**
 * Masks the passwords in `postgres://user:secret@host/db`, in each URL of a list, and in parameters. A text without a URL is
 * masked as a whole.
 */
export const maskUrl = (text: string): string => (SCHEME.test(text) ? maskUrls(text) : '(not a URL)')

const SCHEME = /[a-z][a-z0-9+.-]*:\/\//i

/** Masks the passwords of all URLs in a text, such as the message of a driver. */
export const maskUrls = (text: string): string =>
  text.includes('://')
    ? text
        .split(/(?=\b[a-z][a-z0-9+.-]*:\/\/)/i)
        .map(maskOne)
        .join('')
    : text

/**
 * Masks the password of one URL. The password may contain an unescaped `@` or `/`: it ends at the last `@` of the authority,
 * else at the last `@` before the parameters.
 */
function maskOne(text: string): string {
  const [, scheme = '', authority = '', rest = ''] = /^([a-z][a-z0-9+.-]*:\/\/)([^\s/?#]*)(.*)$/is.exec(text) ?? []
  if (scheme === '') return text
  const [path = ''] = /^[^\s?#]*/.exec(rest) ?? []
  const end = authority.includes('@') ? authority : `${authority}${path}`
  const at = end.lastIndexOf('@')
  const colon = end.indexOf(':')
  const masked = at > colon && colon !== -1 ? `${end.slice(0, colon)}:***${end.slice(at)}` : end
  const parameters = `${authority}${rest}`.slice(end.length)
  return `${scheme}${masked}${parameters.replace(/([?&][^=&\s]*(?:pass|secret|token|key)[^=&\s]*=)[^&\s]*/gi, '$1***')}`
}

/**
 * Renders a JSON line as text: `{"level":"info","msg":"task succeeded","id":…}` → `task succeeded id=…`. Shows every level
 * except info. HOT if there is one line per task.
 */
export function renderText(line: string, stamp: boolean): string {
  const { level, time, msg, err, ...fields } = JSON.parse(line) as Record<string, unknown>
  let text = stamp ? `${new Date(Number(time)).toISOString()} ` : ''
  if (level !== 'info') text += `${String(level).toUpperCase()} `
  text += String(msg ?? '')
  for (const key in fields) text += ` ${key}=${renderField(fields[key])}`
  return err === undefined ? `${text}\n` : `${text}${renderError(err as Record<string, unknown>)}\n`
}

/**
 * HOT. Renders the same line as `renderText` for level info, directly from the fields. Undefined if a field is neither text nor
 * number, or may be secret.
 */
export function renderPlain(fields: unknown, message: unknown, stamp: boolean): string | undefined {
  if (typeof message !== 'string' || message.includes('%') || typeof fields !== 'object' || fields === null) return undefined
  if (Object.getPrototypeOf(fields) !== Object.prototype) return undefined
  let text = stamp ? `${stampOf(Date.now())} ${message}` : message
  for (const key in fields) {
    const value = (fields as Record<string, unknown>)[key]
    if (value === undefined) continue
    if (NOT_PLAIN.has(key) || (typeof value !== 'string' && !(typeof value === 'number' && Number.isFinite(value))))
      return undefined
    text += ` ${key}=${renderField(value)}`
  }
  return `${text}\n`
}

let stampedAt = Number.NaN
let stamped = ''
/**
 * Returns the time, formatted once for all lines of the same millisecond, because formatting costs as much as the rest of a
 * line.
 */
function stampOf(now: number): string {
  if (now !== stampedAt) {
    stampedAt = now
    stamped = new Date(now).toISOString()
  }
  return stamped
}

/** Names of fields that are reserved in a line, or whose values are redacted. */
const NOT_PLAIN = new Set(['level', 'time', 'msg', 'err', 'authorization', 'cookie'])

function renderField(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return typeof value === 'string' && /[\s"=]/.test(text) ? JSON.stringify(text) : text
}

/**
 * Renders an expected failure as one line with its hint. Renders a bug with its stack, one line per frame, so that the
 * supervisor can prefix each line.
 */
function renderError(err: Record<string, unknown>): string {
  if (err.hint !== undefined)
    return ` error=${JSON.stringify(maskUrls(String(err.message)))} code=${err.code} hint=${JSON.stringify(err.hint)}`
  return ` error=${JSON.stringify(maskUrls(String(err.message)))}\n${maskUrls(String(err.stack ?? ''))}`
}
