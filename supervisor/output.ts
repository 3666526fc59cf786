import type { Writable } from 'node:stream'
import type { Format, LifeEvent } from './formats.ts'
import { createLineSplitter } from './line-splitter.ts'

/** Whoever feeds a source: it is held back while nobody reads our output. */
export interface Throttle {
  pause(): void
  resume(): void
}

/** One process's way to the output. */
export interface Source {
  /** HOT: the first `length` bytes of `chunk`. */
  push(chunk: Buffer, length: number): void
  /** Writes the unfinished last line and forgets the source. */
  end(): void
}

export interface Output {
  source(name: string, throttle?: Throttle): Source
  /** A line of the supervisor's own. */
  say(event: LifeEvent): void
  /** Resolves when all that was handed over has been written, or can never be. */
  flushed(): Promise<void>
  /** True while the reader of our output is behind. */
  readonly blocked: boolean
}

export interface OutputOptions {
  readonly stream: Writable
  readonly format: Format
  /** Types or instances whose lines are not shown. */
  readonly quiet: (name: string) => boolean
  /** What to do when the reader is too slow: hold the children back, or drop lines, count them and say so. */
  readonly onSlow: 'block' | 'drop'
  /** Called once when the reader is gone (EPIPE). */
  readonly onBroken: (error: Error) => void
  /** Sees every formatted block; for `logs`. */
  readonly onBlock?: (name: string, block: string) => void
}

/**
 * HOT: all that arrives in one turn of the event loop goes out in one write. While a write is under way the children are
 * paused, so at most a turn's reads are held in memory.
 */
export function createOutput(options: OutputOptions): Output {
  const { stream, format } = options
  const throttles = new Set<Throttle>()
  const waiting: (() => void)[] = []
  let pending = ''
  let scheduled = false
  let blocked = false
  let broken = false
  let dropped = 0

  const add = (text: string) => {
    if (broken || text === '') return
    pending += text
    if (scheduled || blocked) return
    scheduled = true
    setImmediate(flush)
  }

  const flush = () => {
    scheduled = false
    if (blocked || broken) return
    if (pending === '') {
      for (const resolve of waiting.splice(0)) resolve()
      return
    }
    const text = pending
    pending = ''
    blocked = true
    stream.write(text, 'latin1', onWritten)
    // Nothing is left in the stream's queue when the kernel took it all at once, which is the usual case.
    if (stream.writableLength === 0) blocked = false
    else if (options.onSlow === 'block') for (const throttle of throttles) throttle.pause()
    if (!blocked) flushSoonIfAwaited()
  }

  const flushSoonIfAwaited = () => {
    if (waiting.length > 0 && !scheduled) {
      scheduled = true
      setImmediate(flush)
    }
  }

  const onWritten = (error?: Error | null) => {
    if (error) return onError(error)
    if (!blocked) return
    blocked = false
    if (dropped > 0) {
      pending += format.say({ tag: 'note', text: `${dropped} lines dropped: the reader of this log was too slow` })
      dropped = 0
    }
    for (const throttle of throttles) throttle.resume()
    flush()
  }

  const onError = (error: Error) => {
    if (broken) return
    broken = true
    blocked = false
    pending = ''
    // Children must be able to end, so they are read on, to nowhere.
    for (const throttle of throttles) throttle.resume()
    for (const resolve of waiting.splice(0)) resolve()
    options.onBroken(error)
  }
  stream.on('error', onError)

  const show = (name: string, lines: string) => {
    const text = format.lines(name, lines)
    options.onBlock?.(name, text)
    if (options.quiet(name)) return
    if (blocked && options.onSlow === 'drop') dropped += countLines(text)
    else add(text)
  }

  return {
    source(name, throttle) {
      if (throttle !== undefined) {
        throttles.add(throttle)
        if (blocked && options.onSlow === 'block') throttle.pause()
      }
      format.widen(name)
      const splitter = createLineSplitter(format.room(name), (lines) => show(name, lines))
      return {
        push: splitter.push,
        end() {
          splitter.end()
          if (throttle !== undefined) throttles.delete(throttle)
        },
      }
    },
    say(event) {
      const text = format.say(event)
      options.onBlock?.('system', text)
      add(text)
    },
    flushed: () =>
      new Promise((resolve) => {
        if (broken) return resolve()
        waiting.push(resolve)
        flushSoonIfAwaited()
      }),
    get blocked() {
      return blocked
    },
  }
}

function countLines(text: string): number {
  let count = 0
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) count += 1
  return count
}
