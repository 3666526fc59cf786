import { writeSync } from 'node:fs'
import { type Logger, pino } from 'pino'
import { type LogFormat, type LogLevel, renderText } from './log-text.ts'

export type Log = Logger

/**
 * A pino logger on standard output: a constant message plus fields. `text` is for people (the supervisor or the platform adds name and
 * time), `json` for machines. Connection strings never reach it: they are masked where they are made (`maskUrl`).
 */
export function createLog(options: { level: LogLevel; format: LogFormat; stamp?: boolean }, write = writeToStdout()): Log {
  const destination =
    options.format === 'json' ? write : { write: (line: string) => write.write(renderText(line, options.stamp ?? false)) }
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
  let ending = false
  process.on('exit', () => {
    ending = true
    flush()
  })
  return {
    write(line) {
      if (pending === '' && !ending) setImmediate(flush)
      pending += line
      if (ending) flush()
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
