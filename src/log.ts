import { writeSync } from 'node:fs'
import { type Logger, pino } from 'pino'

export type Log = Logger
export type LogFormat = 'text' | 'json'
export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

/**
 * A pino logger on standard output: a constant message plus fields. `text` is for people (the supervisor or the platform adds name and
 * time), `json` for machines. Connection strings never reach it: they are masked where they are made (`maskUrl`).
 */
export function createLog(options: { level: LogLevel; format: LogFormat; stamp?: boolean }, write = writeToStdout()): Log {
  const destination = options.format === 'json' ? write : { write: (line: string) => write.write(renderText(line, options.stamp ?? false)) }
  return pino(
    {
      level: options.level,
      base: null,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: ['authorization', 'cookie', '*.authorization', '*.cookie'], censor: '[redacted]' },
    },
    destination,
  )
}

/** A logger that says nothing: for tests and for library use before an application brings its own. */
export const silentLog = (): Log => pino({ level: 'silent' })

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

function renderField(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return typeof value === 'string' && /[\s"=]/.test(text) ? JSON.stringify(text) : text
}

/** An expected failure is one line with its hint; a bug brings its stack, a line each, so that the supervisor can prefix them. */
function renderError(err: Record<string, unknown>): string {
  if (err.hint !== undefined) return ` error=${JSON.stringify(err.message)} code=${err.code} hint=${JSON.stringify(err.hint)}`
  return ` error=${JSON.stringify(err.message)}\n${String(err.stack ?? '')}`
}

/**
 * Lines of one turn of the event loop leave in one write. It is synchronous: when the reader is slow the process waits with it,
 * instead of filling its memory with what nobody reads (reference/supervisors.md, "Where a Node supervisor itself can go wrong").
 */
function writeToStdout(): { write(line: string): void } {
  let pending = ''
  const flush = () => {
    const text = pending
    pending = ''
    if (text !== '') writeFully(Buffer.from(text))
  }
  process.on('exit', flush)
  return {
    write(line) {
      if (pending === '') setImmediate(flush)
      pending += line
    },
  }
}

function writeFully(bytes: Buffer): void {
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(1, bytes, at)
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      // A non-blocking stdout (a terminal, a socket) that is full: wait a millisecond without spinning.
      if (code === 'EAGAIN') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1)
      else return // EPIPE: nobody reads any more; the supervisor's death ends this process by other means
    }
  }
}
