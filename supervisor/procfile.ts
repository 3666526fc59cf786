import { SupervisorError } from './errors.ts'

/** One line of a Procfile: a process type and the shell command that runs it. */
export interface Entry {
  readonly name: string
  readonly command: string
}

/** Commands and variables cannot contain NUL. A file with NUL is usually UTF-16. */
export const NUL_PROBLEM = 'a NUL character (the file must be UTF-8, not UTF-16)'

/** Matches a line `name: command`. Honcho and foreman allow the same characters in names. */
const LINE = /^([A-Za-z0-9_-]+):\s*(\S.*)$/

/**
 * Parses lines of the form `name: command`. Besides them, only blank lines and `#` comments are allowed. Honcho and foreman skip
 * every other line, so with them a process whose line has a typing error never starts, without a message.
 * @param file the name of the file in messages
 * @throws SupervisorError PROCFILE_INVALID with every invalid line and its number
 */
export function parseProcfile(text: string, file = 'Procfile'): Entry[] {
  const entries: Entry[] = []
  const lineOf = new Map<string, number>()
  const problems: string[] = []
  for (const [index, raw] of text
    .replace(/^\uFEFF/, '')
    .split('\n')
    .entries()) {
    const line = raw.trimEnd()
    const number = index + 1
    if (line === '' || line.trimStart().startsWith('#')) continue
    const match = line.includes('\0') ? null : LINE.exec(line)
    if (match === null) {
      problems.push(`${file}:${number}: ${whyNot(line)}: ${JSON.stringify(line)}`)
      continue
    }
    const name = match[1]!
    const first = lineOf.get(name)
    if (first === undefined) lineOf.set(name, number)
    else problems.push(`${file}:${number}: "${name}" is already defined on line ${first}; process names must be unique`)
    entries.push({ name, command: match[2]! })
  }
  if (problems.length === 0 && entries.length === 0) problems.push(`${file}: No processes defined in Procfile`)
  if (problems.length > 0) throw new SupervisorError('PROCFILE_INVALID', problems.join('\n'))
  return entries
}

function whyNot(line: string): string {
  if (line.includes('\0')) return NUL_PROBLEM
  if (/^\s/.test(line)) return 'a line may not start with a space (a command cannot be continued on the next line)'
  const colon = line.indexOf(':')
  if (colon === -1) return 'no ":" after the name'
  if (!/^[A-Za-z0-9_-]+$/.test(line.slice(0, colon))) return 'a name has only letters, digits, "_" and "-"'
  return 'no command after the ":"'
}
