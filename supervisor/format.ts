import type { Exit } from './exit.ts'

/** An event of the run that the supervisor logs. */
export type LifeEvent =
  | { readonly tag: 'started'; readonly name: string; readonly pid: number }
  | { readonly tag: 'stopped'; readonly name: string; readonly exit: Exit }
  | { readonly tag: 'signalled'; readonly name: string; readonly pid: number; readonly signal: NodeJS.Signals }
  | { readonly tag: 'received'; readonly signal: NodeJS.Signals }
  | { readonly tag: 'note'; readonly text: string }

/** Turns lines and events into output. All text is byte strings (see line-splitter.ts). */
export interface Format {
  /** HOT: `block` is lines joined by "\n". The added output ends with "\n". */
  write(name: string, block: string, add: Add): void
  say(event: LifeEvent, add: Add): void
  /** Widens the prefix column for a process that was not listed at the start. */
  widen(name: string): void
  /** Longest line of `name`, in bytes, that fits after the prefix into one line of the platform. */
  room(name: string): number
}

/** Appends bytes to the output. */
export type Add = (bytes: string) => void
