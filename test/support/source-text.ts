/** The comments of a source file, joined by newlines. URLs are left out, because a path in them is not a path of ours. */
export function commentsOf(file: string, text: string): string {
  const pattern = file.endsWith('.sql') ? /--[^\n]*/g : /\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/[^\n]*/g
  const comments = [...text.matchAll(pattern)].map(([comment]) => comment)
  return comments.join('\n').replace(/https?:\/\/\S+/g, '')
}

/** Paths and file names in a text: `docs/adr/`, `src/app/app.ts`, `rate.ts`. */
export const pathsIn = (text: string): string[] =>
  [
    ...text.matchAll(
      /(?<![\w./-])(?:[\w-]+\/)*[\w.-]*\w\.(?:ts|sql|md)\b|(?<![\w./-])(?:reference|docs|src|test|sql|bench|supervisor|examples)\/[\w./-]*\w/g,
    ),
  ].map(([path]) => path)

/** All identifiers of a source file, outside of comments and texts. Code inside of a template literal's `${…}` counts. */
export function identifiersOf(file: string, text: string): Set<string> {
  const code = file.endsWith('.sql')
    ? text.replace(/--[^\n]*/g, '').replace(/'[^']*'/g, '')
    : text
        .replace(/\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/[^\n]*/g, '')
        .replace(/'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"/g, '')
        .replace(/`(?:[^`\\$]|\\.|\$(?!\{)|\$\{[^}]*\})*`/g, (literal) =>
          [...literal.matchAll(/\$\{([^}]*)\}/g)].map(([, inner]) => inner).join(' '),
        )
  return new Set(code.match(/[A-Za-z_$][\w$]*/g))
}
