/**
 * Words that the shell itself must run. With "exec" before such a word, the shell would search for a program of this name, or
 * the effect of the word would be lost.
 */
const SHELL_WORDS = new Set(
  (
    '! . : [ alias bg break builtin caller case cd command continue declare do done elif else env enable esac eval exec exit export fc fg ' +
    'fi for function getopts hash help history if in jobs let local logout mapfile popd pushd read readonly return select set shift ' +
    'shopt source suspend test then time times trap type typeset ulimit umask unalias unset until wait while { }'
  ).split(' '),
)
/** Characters that may make a line more than one simple command. Text in quotes is not checked. */
const NOT_SIMPLE = /[;&|()`\n\\"'{}!#]/
const ASSIGNMENTS = /^(?:[A-Za-z_]\w*=\S*\s+)*/

/**
 * Puts `exec` before a simple command, so that the process that we start is the program itself: it receives the signals, and we
 * receive its exit code. Without `exec`, dash (the /bin/sh of Debian and Heroku) stays in memory while the last command of `sh
 * -c` runs; bash does not.
 */
export function execIfSimple(command: string): string {
  const text = command.trim()
  const assignments = ASSIGNMENTS.exec(text)?.[0] ?? ''
  const rest = text.slice(assignments.length)
  const word = /^[\w./~+-]+(?=\s|$)/.exec(rest)?.[0]
  if (word === undefined || SHELL_WORDS.has(word) || NOT_SIMPLE.test(outsideQuotes(text))) return command
  return `${assignments}exec ${rest}`
}

/** Replaces each quoted part of the text by "q". An unclosed quote stays, and then the command is not simple. */
const outsideQuotes = (text: string) => text.replace(/'[^']*'|"(?:[^"\\`$]|\\.)*"/g, 'q')
