import { format } from 'node:util'
import type { LogLine } from '../../app/effects.ts'
import type { Log } from '../../log.ts'

const LEVELS = { trace: 10, debug: 20, info: 30, warn: 40, error: 50, fatal: 60 } as const
/**
 * Largest length of a message, and of its fields, that the console shows, in characters. The log of the platform has the whole
 * text.
 */
const MAX_CHARS = 8192

/** Returns a logger that also passes each line that it or a child logger writes to `keep`. Logged values never make it throw. */
export function captureLog(log: Log, keep: (line: LogLine) => void): Log {
  const capturing = Object.create(log) as Log
  for (const [name, level] of Object.entries(LEVELS) as [keyof typeof LEVELS, number][]) {
    const write = log[name].bind(log) as (...args: unknown[]) => void
    Object.defineProperty(capturing, name, {
      value: (...args: unknown[]) => {
        write(...args)
        if (log.isLevelEnabled(name)) keep({ level, at: Date.now(), ...read(args) })
      },
    })
  }
  const child: Log['child'] = (...given) => captureLog(log.child(...given) as unknown as Log, keep) as never
  Object.defineProperty(capturing, 'child', { value: child })
  return capturing
}

/** Reads arguments as pino does: first fields or an error, then a message with values for its %s. */
function read(args: readonly unknown[]): { message: string; fields: string | null } {
  const [first, ...rest] = args
  if (typeof first !== 'object' || first === null) return { message: text(format(...args)), fields: null }
  const message =
    rest.length > 0 ? format(...rest) : first instanceof Error ? first.message : ((first as { msg?: unknown }).msg ?? '')
  return { message: text(String(message)), fields: json(first instanceof Error ? { err: first } : first) }
}

function json(fields: object): string | null {
  try {
    const written = JSON.stringify(fields, (_key, value) =>
      value instanceof Error ? shown(value) : typeof value === 'bigint' ? `${value}` : value,
    )
    if (written === '{}') return null
    // A truncated text is no valid JSON, so it is wrapped.
    return text(written.length > MAX_CHARS ? JSON.stringify({ cut: written.slice(0, MAX_CHARS / 2) }) : written)
  } catch {
    return null // The value has a circle, or a getter that throws. The log of the platform has pino's text of the value.
  }
}

const shown = ({ name, message, stack }: Error) => ({ type: name, message, stack })

/** Truncates a text, and replaces NUL and lone surrogates, which PostgreSQL's text cannot store. */
const text = (value: string) => value.slice(0, MAX_CHARS).replaceAll('\0', '\uFFFD').toWellFormed()
