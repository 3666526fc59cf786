import type { Exit } from './exit.ts'

/** An event of the run that the supervisor logs. */
export type LifeEvent =
  | { readonly tag: 'started'; readonly name: string; readonly pid: number }
  | { readonly tag: 'stopped'; readonly name: string; readonly exit: Exit }
  | { readonly tag: 'signalled'; readonly name: string; readonly pid: number; readonly signal: NodeJS.Signals }
  | { readonly tag: 'received'; readonly signal: NodeJS.Signals }
  | { readonly tag: 'note'; readonly text: string }

/** Turns lines and events into output. All text is in byte strings (see line-splitter.ts). */
export interface Format {
  /** Formats a block of lines, which are joined by "\n". The added output ends with "\n". HOT. */
  write(name: string, block: string, add: Add): void
  say(event: LifeEvent, add: Add): void
  /** Widens the prefix column for a process that was not listed at the start. */
  widen(name: string): void
  /**
   * Returns the length in bytes of the longest line of process `name` that fits, with its prefix, into one line of the platform.
   */
  room(name: string): number
}

/** Appends bytes to the output. */
export type Add = (bytes: string) => void
