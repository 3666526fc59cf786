import { writeSync } from 'node:fs'
import { type Logger, pino } from 'pino'
import { type LogFormat, type LogLevel, renderPlain, renderText } from './log-text.ts'

export type Log = Logger

const INFO = 30

/**
 * A pino logger on standard output: a constant message plus fields. `text` is for people (the supervisor or the platform adds name and
 * time), `json` for machines. Connection strings never reach it: they are masked where they are made (`maskUrl`).
 */
export function createLog(options: { level: LogLevel; format: LogFormat; stamp?: boolean }, write = writeToStdout()): Log {
  const { format, stamp = false } = options
  const destination = format === 'json' ? write : { write: (line: string) => write.write(renderText(line, stamp)) }
  const log: Log = pino(
    {
      level: options.level,
      base: null,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: ['authorization', 'cookie', '*.authorization', '*.cookie'], censor: '[redacted]' },
      hooks: {
        // The line of a task: neither JSON nor what reads it again is needed for a few plain fields.
        logMethod(args, method, level) {
          const line =
            format === 'text' && level === INFO && this === log && args.length === 2
              ? renderPlain(args[0], args[1], stamp)
              : undefined
          if (line === undefined) method.apply(this, args)
          else write.write(line)
        },
      },
    },
    destination,
  )
  return log
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
