import { Socket } from 'node:net'
import type { Writable } from 'node:stream'
import type { Format, LifeEvent } from './format.ts'
import { createLineSplitter } from './line-splitter.ts'

/** Pauses and resumes the reading of a child's output. Reading is paused while the reader of our own output is slow. */
export interface Throttle {
  pause(): void
  resume(): void
}

/** The lines of one process on their way to the output. */
export interface Source {
  /** Takes the first `length` bytes of `chunk`. HOT. */
  push(chunk: Buffer, length: number): void
  /** Writes the unfinished last line and removes the source. */
  end(): void
}

export type Output = ReturnType<typeof createOutput>

export interface OutputOptions {
  readonly stream: Writable
  readonly format: Format
  /** Returns true for a process whose lines are hidden. */
  readonly quiet: (name: string) => boolean
  /**
   * Reaction to a slow reader. `block`: the children are paused; `drop`: lines are dropped, and their number is
   * logged.
   */
  readonly onSlow: 'block' | 'drop'
  /** Called once, when the reader is gone (EPIPE). */
  readonly onBroken: (error: Error) => void
  /** Receives every formatted block, hidden ones included, for `logs`. The buffer is valid only during the call. */
  readonly onBlock: (name: string, block: Buffer) => void
}

const BUFFER_BYTES = 256 * 1024

/**
 * Creates the output of a run. HOT: all bytes of one turn of the event loop are sent with one write, from one reused buffer.
 * While the reader is slow, reading from the children is paused, so the buffer never holds more than the bytes of one turn.
 */
export function createOutput(options: OutputOptions) {
  const { stream, format } = options
  // If the queue of such a stream is empty, the kernel has the bytes, so the buffer can be reused. Other streams may keep the
  // buffer, so they get a copy.
  const isDirect = stream instanceof Socket || stream === process.stdout
  const throttles = new Set<Throttle>()
  const waiting: (() => void)[] = []
  let buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES)
  let used = 0
  let scheduled = false
  let blocked = false
  let broken = false
  let dropped = 0

  const add = (bytes: string) => {
    if (used + bytes.length > buffer.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(used + bytes.length, buffer.length * 2))
      buffer.copy(larger, 0, 0, used)
      buffer = larger
    }
    used += buffer.write(bytes, used, 'latin1')
  }

  /** Passes the bytes that `write` adds to onBlock, then sends them unless `hide` is set. */
  const show = (name: string, write: () => void, hide: boolean) => {
    const start = used
    write()
    options.onBlock(name, buffer.subarray(start, used))
    if (hide || broken) used = start
    else schedule()
  }

  const schedule = () => {
    if (scheduled || blocked) return
    scheduled = true
    setImmediate(flush)
  }

  const flush = () => {
    scheduled = false
    if (blocked || broken) return
    if (used === 0) {
      for (const resolve of waiting.splice(0)) resolve()
      return
    }
    const chunk = buffer.subarray(0, used)
    used = 0
    blocked = true
    stream.write(isDirect ? chunk : Buffer.from(chunk), onWritten)
    if (stream.writableLength === 0) {
      blocked = false
      if (waiting.length > 0) schedule()
    } else {
      buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES)
      if (options.onSlow === 'block') for (const throttle of throttles) throttle.pause()
    }
  }

  const onWritten = (error?: Error | null) => {
    if (error) return onError(error)
    if (!blocked) return
    blocked = false
    if (dropped > 0) format.say({ tag: 'note', text: `${dropped} lines dropped: the reader of this log was too slow` }, add)
    dropped = 0
    for (const throttle of throttles) throttle.resume()
    flush()
  }

  const onError = (error: Error) => {
    if (broken) return
    broken = true
    blocked = false
    used = 0
    // The output of the children is still read, but thrown away: a child whose pipe is full could not end.
    for (const throttle of throttles) throttle.resume()
    for (const resolve of waiting.splice(0)) resolve()
    options.onBroken(error)
  }
  stream.on('error', onError)

  const onLines = (name: string, lines: string) => {
    const drop = blocked && options.onSlow === 'drop' && used > BUFFER_BYTES / 2
    if (drop) dropped += lines.split('\n').length
    show(name, () => format.write(name, lines, add), drop || options.quiet(name))
  }

  return {
    source(name: string, throttle?: Throttle): Source {
      if (throttle !== undefined) throttles.add(throttle)
      format.widen(name)
      const splitter = createLineSplitter(format.room(name), (lines) => onLines(name, lines))
      return {
        push: splitter.push,
        end() {
          splitter.end()
          if (throttle !== undefined) throttles.delete(throttle)
        },
      }
    },
    /** Writes an event of the supervisor. */
    say: (event: LifeEvent): void => show('system', () => format.say(event, add), false),
    /** Resolves when all bytes have been written, or when the reader is gone. */
    flushed: () =>
      new Promise<void>((resolve) => {
        if (broken) return resolve()
        waiting.push(resolve)
        schedule()
      }),
    /** True while reading from the children is paused. */
    get held(): boolean {
      return blocked && options.onSlow === 'block'
    },
  }
}
