/** Words that the shell itself must run: with "exec" it would search a program of that name, or the effect would be lost. */
const SHELL_WORDS = new Set(
  (
    '! . : [ alias bg break builtin caller case cd command continue declare do done elif else env enable esac eval exec exit export fc fg ' +
    'fi for function getopts hash help history if in jobs let local logout mapfile popd pushd read readonly return select set shift ' +
    'shopt source suspend test then time times trap type typeset ulimit umask unalias unset until wait while { }'
  ).split(' '),
)
/** Characters that may make a line more than one simple command. Quoted text is not checked. */
const NOT_SIMPLE = /[;&|()`\n\\"'{}!#]/
const ASSIGNMENTS = /^(?:[A-Za-z_]\w*=\S*\s+)*/

/**
 * Puts `exec` before a simple command, so the process that we start is the program itself: it receives the signals, and we
 * receive its exit. Without `exec`, dash (the /bin/sh of Debian and Heroku) stays in memory beside the last command of `sh -c`;
 * bash does not.
 */
export function execIfSimple(command: string): string {
  const text = command.trim()
  const assignments = ASSIGNMENTS.exec(text)?.[0] ?? ''
  const rest = text.slice(assignments.length)
  const word = /^[\w./~+-]+(?=\s|$)/.exec(rest)?.[0]
  if (word === undefined || SHELL_WORDS.has(word) || NOT_SIMPLE.test(outsideQuotes(text))) return command
  return `${assignments}exec ${rest}`
}

/** The text with each quoted part replaced by "q". An unclosed quote stays, so the command is not simple. */
const outsideQuotes = (text: string) => text.replace(/'[^']*'|"(?:[^"\\`$]|\\.)*"/g, 'q')
