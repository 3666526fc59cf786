/** Passes the server's log on as bytes, but without the usual lines of a start and a stop. */
export interface ServerLog {
  write(chunk: Buffer): void
  /**
   * Holds lines back until `pass` is called, but for at most three seconds, because a longer start is unusual and its lines must
   * be seen.
   */
  hold(): void
  /**
   * Passes on the held lines and all later lines. `unusual`: of the held lines, passes on only warnings and errors, not level
   * LOG.
   */
  pass(what: 'all' | 'unusual'): void
}

const LONGEST_HOLD_MS = 3_000

/**
 * Creates the filter of the server's log. PostgreSQL logs the death of one of its processes at the same level as "listening
 * on…", so this level must stay on. Lines of this level are dropped only while the server starts and stops as requested; onedyno
 * reports these two events in its own lines.
 */
export function createServerLog(log: (chunk: Buffer) => void): ServerLog {
  let held: Buffer[] | undefined
  let timer: NodeJS.Timeout | undefined
  const pass = (what: 'all' | 'unusual') => {
    clearTimeout(timer)
    const bytes = Buffer.concat(held ?? [])
    held = undefined
    const wanted = what === 'all' ? bytes : withoutUsual(bytes)
    if (wanted.length > 0) log(wanted)
  }
  return {
    pass,
    write(chunk) {
      if (held === undefined) log(chunk)
      else held.push(chunk)
    },
    hold() {
      held ??= []
      clearTimeout(timer)
      timer = setTimeout(pass, LONGEST_HOLD_MS, 'all')
    },
  }
}

/**
 * Removes the usual lines. With `lc_messages=C` the level is a constant text. A line that begins with a tab continues the line
 * before it.
 */
function withoutUsual(bytes: Buffer): Buffer {
  let isUsual = false
  const kept = bytes
    .toString('latin1')
    .split(/(?<=\n)/)
    .filter((line) => {
      if (!line.startsWith('\t')) isUsual = line.startsWith('LOG:  ')
      return !isUsual
    })
  return Buffer.from(kept.join(''), 'latin1')
}
