/** The server's own lines, passed on as bytes, without the usual ones of a start and a stop. */
export interface ServerLog {
  write(chunk: Buffer): void
  /** From now on lines are kept back, until `pass` or for three seconds: a start that takes longer is no usual one. */
  hold(): void
  /** Passes on what was held, and all that follows. `usual`: held lines at level LOG are dropped, warnings and errors are not. */
  pass(what: 'all' | 'unusual'): void
}

const LONGEST_HOLD_MS = 3_000

/**
 * PostgreSQL reports the death of a process of its own at the same level as "listening on…", so the level cannot be turned off: instead
 * those lines are dropped while the server starts and stops as asked, which our own life-cycle lines tell shorter.
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

/** `lc_messages=C` makes the level a constant; a line that begins with a tab continues the one before. */
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
