// What is said about logging without a logger: the supervisor needs it and must not load pino.

export type LogFormat = 'text' | 'json'
export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

/** `postgres://user:secret@host/db` without what must not be read. A text that is no URL is hidden whole. */
export function maskUrl(url: string): string {
  try {
    const parsed = new URL(url)
    if (parsed.password !== '') parsed.password = '***'
    for (const key of parsed.searchParams.keys()) if (/pass|secret|token|key/i.test(key)) parsed.searchParams.set(key, '***')
    return parsed.href
  } catch {
    return '(not a URL)'
  }
}

/** HOT at one line per task: `{"level":"info","msg":"task succeeded","id":…}` → `task succeeded id=…`. Levels other than info are shown. */
export function renderText(line: string, stamp: boolean): string {
  const { level, time, msg, err, ...fields } = JSON.parse(line) as Record<string, unknown>
  let text = stamp ? `${new Date(Number(time)).toISOString()} ` : ''
  if (level !== 'info') text += `${String(level).toUpperCase()} `
  text += String(msg ?? '')
  for (const key in fields) text += ` ${key}=${renderField(fields[key])}`
  return err === undefined ? `${text}\n` : `${text}${renderError(err as Record<string, unknown>)}\n`
}

/**
 * HOT. What `renderText` makes of an info line, straight from its fields; undefined when one of them is no plain text or number, or may
 * be one that is not to be read.
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
/** Written once for all lines of a millisecond: it costs as much as the rest of a line. */
function stampOf(now: number): string {
  if (now !== stampedAt) {
    stampedAt = now
    stamped = new Date(now).toISOString()
  }
  return stamped
}

/** Names that have a meaning of their own in a line, or that are redacted. */
const NOT_PLAIN = new Set(['level', 'time', 'msg', 'err', 'authorization', 'cookie'])

function renderField(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return typeof value === 'string' && /[\s"=]/.test(text) ? JSON.stringify(text) : text
}

/** An expected failure is one line with its hint; a bug brings its stack, a line each, so that the supervisor can prefix them. */
function renderError(err: Record<string, unknown>): string {
  if (err.hint !== undefined) return ` error=${JSON.stringify(err.message)} code=${err.code} hint=${JSON.stringify(err.hint)}`
  return ` error=${JSON.stringify(err.message)}\n${String(err.stack ?? '')}`
}
