/** A fenced block: "```sh test" has the language `sh` and the word `test`; "```ts file=a.ts" the word `file=a.ts`. */
export interface Block {
  readonly language: string
  readonly word: string
  readonly text: string
  /** Line number of the opening fence, from 1. */
  readonly line: number
}

/** @throws Error if a fence is not closed */
export function blocksOf(markdown: string): Block[] {
  const blocks: Block[] = []
  let open: { language: string; word: string; line: number; lines: string[] } | undefined
  for (const [index, line] of markdown.split('\n').entries()) {
    if (open === undefined) {
      const [, info] = /^```(.*)$/.exec(line) ?? []
      const [language = '', word = ''] = info?.trim().split(/\s+/) ?? []
      if (info !== undefined) open = { language, word, line: index + 1, lines: [] }
    } else if (line === '```') {
      blocks.push({ language: open.language, word: open.word, line: open.line, text: `${open.lines.join('\n')}\n` })
      open = undefined
    } else open.lines.push(line)
  }
  if (open !== undefined) throw new Error(`the block of line ${open.line} is never closed`)
  return blocks
}

/** The text outside of code blocks and inline code. */
const proseOf = (markdown: string): string => markdown.replace(/^```[\s\S]*?^```$/gm, '').replace(/`[^`\n]*`/g, '')

/** Anchors of the headings, as GitHub creates them. */
export function anchorsOf(markdown: string): string[] {
  const headings = [...markdown.replace(/^```[\s\S]*?^```$/gm, '').matchAll(/^#{1,6} (.+)$/gm)]
  return headings.map(([, title = '']) =>
    title
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  )
}

/** Targets of links and images, without titles. */
export const linksOf = (markdown: string): string[] =>
  [...proseOf(markdown).matchAll(/\]\(([^)\s]+)\)/g)].map(([, to = '']) => to)

/** True if `actual` matches `expected`. In `expected` … matches any text of a line, and a line with … alone matches any lines. */
export function looksLike(actual: string, expected: string): boolean {
  const lines = expected.trimEnd().split('\n')
  const pattern = lines.map((line) => (line === '…' ? '(?:.|\\n)*' : line.split('…').map(escapeRegExp).join('.*'))).join('\n')
  return new RegExp(`^${pattern}$`).test(actual.trimEnd())
}

const escapeRegExp = (text: string) => text.replace(/[.*+?^${}()|[\]\\/-]/g, '\\$&')
