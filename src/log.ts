import { writeSync } from 'node:fs'
import { type Logger, pino } from 'pino'
import { type LogFormat, type LogLevel, maskUrls, renderPlain, renderText } from './log-text.ts'

export type Log = Logger

const INFO = 30

/**
 * Creates a pino logger on standard output. Each line has a constant message and fields. `text` is for people (the supervisor or
 * the platform adds name and time), `json` for machines. Callers mask connection strings with `maskUrl`.
 */
export function createLog(options: { level: LogLevel; format: LogFormat; stamp?: boolean }, write = writeToStdout()): Log {
  const { format, stamp = false } = options
  const destination = format === 'json' ? write : { write: (line: string) => write.write(renderText(line, stamp)) }
  const log: Log = pino(
    {
      level: options.level,
      base: null,
      formatters: { level: (label) => ({ level: label }) },
      // Passwords in text lines are masked when the lines are rendered.
      ...(format === 'json' ? { serializers: { err: maskedError } } : {}),
      redact: { paths: ['authorization', 'cookie', '*.authorization', '*.cookie'], censor: '[redacted]' },
      hooks: {
        // HOT: called for one line per task. Renders a few plain fields without writing and parsing JSON.
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

/**
 * Returns an error as pino writes it, but masks the passwords of URLs, because drivers put the URL into messages and properties.
 */
function maskedError(thrown: unknown): unknown {
  if (!(thrown instanceof Error)) return thrown
  const fields = Object.entries(pino.stdSerializers.err(thrown))
  return Object.fromEntries(fields.map(([key, value]) => [key, typeof value === 'string' ? maskUrls(value) : value]))
}

let stdoutWriter: { write(line: string): void } | undefined

/** The loggers of a process share one writer, because each writer adds a listener to the end of the process. */
function writeToStdout(): { write(line: string): void } {
  stdoutWriter ??= createStdoutWriter()
  return stdoutWriter
}

/** Creates a logger without output, for tests and for use as a library. */
export const silentLog = (): Log => pino({ level: 'silent' })

/**
 * Writes all lines of one turn of the event loop with one synchronous write. If the reader is slow, the process waits instead of
 * filling its memory with lines (Node.js, "A note on process I/O": pipes are synchronous on Linux).
 */
function createStdoutWriter(): { write(line: string): void } {
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
      // EAGAIN: a non-blocking stdout (a terminal, a socket) is full. Waits a millisecond without using the CPU.
      if (code === 'EAGAIN') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1)
      else return // EPIPE: the reader has ended. If it was the supervisor, this process is ended in another way.
    }
  }
}
