/** Words that the shell itself must run: "exec" would look for a program of that name, or lose their effect. */
const SHELL_WORDS = new Set(
  (
    '! . : [ alias bg break builtin caller case cd command continue declare do done elif else env enable esac eval exec exit export fc fg ' +
    'fi for function getopts hash help history if in jobs let local logout mapfile popd pushd read readonly return select set shift ' +
    'shopt source suspend test then time times trap type typeset ulimit umask unalias unset until wait while { }'
  ).split(' '),
)
/** Anything that may make more of a line than one simple command. Quoted text is let be: it may hold any of these. */
const NOT_SIMPLE = /[;&|()`\n\\"'{}!#]/
const ASSIGNMENTS = /^(?:[A-Za-z_]\w*=\S*\s+)*/

/**
 * dash, the /bin/sh of Debian and Heroku, keeps itself in memory beside the last command of `sh -c` (bash does not). A
 * simple command gets `exec`, so the process we start is the program itself: it gets the signals, and we get its exit.
 */
export function execIfSimple(command: string): string {
  const text = command.trim()
  const assignments = ASSIGNMENTS.exec(text)?.[0] ?? ''
  const rest = text.slice(assignments.length)
  const word = /^[\w./~+-]+(?=\s|$)/.exec(rest)?.[0]
  if (word === undefined || SHELL_WORDS.has(word) || NOT_SIMPLE.test(outsideQuotes(text))) return command
  return `${assignments}exec ${rest}`
}

/** The text without its closed quotes; one that is not closed stays, and is not simple. */
const outsideQuotes = (text: string) => text.replace(/'[^']*'|"(?:[^"\\`$]|\\.)*"/g, 'q')
